"""The checkpoints that the reference's authors published, by the names of the configs they were trained with.

Names below a folder; their files are `<id>/<file>` in a folder of the same name on the server, or where that
differs, a path from the server's root.  The end of a file's name is the beginning of its MD5. torchvision's
lie on its own server.
"""

__all__ = ["SERVER", "published_checkpoints", "published_url"]

SERVER = "https://dl.fbaipublicfiles.com"

_PUBLISHED = {
    "torchvision": {
        "fasterrcnn_resnet50_fpn": "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "fasterrcnn_resnet50_fpn_v2": "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        "fcos_resnet50_fpn": "https://download.pytorch.org/models/fcos_resnet50_fpn_coco-99b0c9b7.pth",
        "keypointrcnn_resnet50_fpn": "https://download.pytorch.org/models/keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
        "maskrcnn_resnet50_fpn": "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        "maskrcnn_resnet50_fpn_v2": "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        "retinanet_resnet50_fpn": "https://download.pytorch.org/models/retinanet_resnet50_fpn_coco-eeacb38b.pth",
        "retinanet_resnet50_fpn_v2": "https://download.pytorch.org/models/retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
    },
    "COCO-Detection": {
        "faster_rcnn_R_50_C4_1x": "137257644/model_final_721ade.pkl",
        "faster_rcnn_R_50_DC5_1x": "137847829/model_final_51d356.pkl",
        "faster_rcnn_R_50_FPN_1x": "137257794/model_final_b275ba.pkl",
        "faster_rcnn_R_50_C4_3x": "137849393/model_final_f97cb7.pkl",
        "faster_rcnn_R_50_DC5_3x": "137849425/model_final_68d202.pkl",
        "faster_rcnn_R_50_FPN_3x": "137849458/model_final_280758.pkl",
        "faster_rcnn_R_101_C4_3x": "138204752/model_final_298dad.pkl",
        "faster_rcnn_R_101_DC5_3x": "138204841/model_final_3e0943.pkl",
        "faster_rcnn_R_101_FPN_3x": "137851257/model_final_f6e8b1.pkl",
        "faster_rcnn_X_101_32x8d_FPN_3x": "139173657/model_final_68b088.pkl",
        "retinanet_R_50_FPN_1x": "190397773/model_final_bfca0b.pkl",
        "retinanet_R_50_FPN_3x": "190397829/model_final_5bd44e.pkl",
        "retinanet_R_101_FPN_3x": "190397697/model_final_971ab9.pkl",
        "rpn_R_50_C4_1x": "137258005/model_final_450694.pkl",
        "rpn_R_50_FPN_1x": "137258492/model_final_02ce48.pkl",
        "fast_rcnn_R_50_FPN_1x": "137635226/model_final_e5f7ce.pkl",
    },
    "COCO-InstanceSegmentation": {
        "mask_rcnn_R_50_C4_1x": "137259246/model_final_9243eb.pkl",
        "mask_rcnn_R_50_DC5_1x": "137260150/model_final_4f86c3.pkl",
        "mask_rcnn_R_50_FPN_1x": "137260431/model_final_a54504.pkl",
        "mask_rcnn_R_50_C4_3x": "137849525/model_final_4ce675.pkl",
        "mask_rcnn_R_50_DC5_3x": "137849551/model_final_84107b.pkl",
        "mask_rcnn_R_50_FPN_3x": "137849600/model_final_f10217.pkl",
        "mask_rcnn_R_101_C4_3x": "138363239/model_final_a2914c.pkl",
        "mask_rcnn_R_101_DC5_3x": "138363294/model_final_0464b7.pkl",
        "mask_rcnn_R_101_FPN_3x": "138205316/model_final_a3ec72.pkl",
        "mask_rcnn_X_101_32x8d_FPN_3x": "139653917/model_final_2d9806.pkl",
    },
    "new_baselines": {
        "mask_rcnn_R_50_FPN_100ep_LSJ": "42047764/model_final_bb69de.pkl",
        "mask_rcnn_R_50_FPN_200ep_LSJ": "42047638/model_final_89a8d3.pkl",
        "mask_rcnn_R_50_FPN_400ep_LSJ": "42019571/model_final_14d201.pkl",
        "mask_rcnn_R_101_FPN_100ep_LSJ": "42025812/model_final_4f7b58.pkl",
        "mask_rcnn_R_101_FPN_200ep_LSJ": "42131867/model_final_0bb7ae.pkl",
        "mask_rcnn_R_101_FPN_400ep_LSJ": "42073830/model_final_f96b26.pkl",
        "mask_rcnn_regnetx_4gf_dds_FPN_100ep_LSJ": "42047771/model_final_b7fbab.pkl",
        "mask_rcnn_regnetx_4gf_dds_FPN_200ep_LSJ": "42132721/model_final_5d87c1.pkl",
        "mask_rcnn_regnetx_4gf_dds_FPN_400ep_LSJ": "42025447/model_final_f1362d.pkl",
        "mask_rcnn_regnety_4gf_dds_FPN_100ep_LSJ": "42047784/model_final_6ba57e.pkl",
        "mask_rcnn_regnety_4gf_dds_FPN_200ep_LSJ": "42047642/model_final_27b9c1.pkl",
        "mask_rcnn_regnety_4gf_dds_FPN_400ep_LSJ": "42045954/model_final_ef3a80.pkl",
    },
    "COCO-Keypoints": {
        "keypoint_rcnn_R_50_FPN_1x": "137261548/model_final_04e291.pkl",
        "keypoint_rcnn_R_50_FPN_3x": "137849621/model_final_a6e10b.pkl",
        "keypoint_rcnn_R_101_FPN_3x": "138363331/model_final_997cc7.pkl",
        "keypoint_rcnn_X_101_32x8d_FPN_3x": "139686956/model_final_5ad38f.pkl",
    },
    "COCO-PanopticSegmentation": {
        "panoptic_fpn_R_50_1x": "139514544/model_final_dbfeb4.pkl",
        "panoptic_fpn_R_50_3x": "139514569/model_final_c10459.pkl",
        "panoptic_fpn_R_101_3x": "139514519/model_final_cafdb1.pkl",
    },
    "LVISv0.5-InstanceSegmentation": {
        "mask_rcnn_R_50_FPN_1x": "144219072/model_final_571f7c.pkl",
        "mask_rcnn_R_101_FPN_1x": "144219035/model_final_824ab5.pkl",
        "mask_rcnn_X_101_32x8d_FPN_1x": "144219108/model_final_5e3439.pkl",
    },
    "Cityscapes": {
        "mask_rcnn_R_50_FPN": "142423278/model_final_af9cf5.pkl",
    },
    "PascalVOC-Detection": {
        "faster_rcnn_R_50_C4": "142202221/model_final_b1acc2.pkl",
    },
    "Misc": {
        "mask_rcnn_R_50_FPN_1x_dconv_c3-c5": "138602867/model_final_65c703.pkl",
        "cascade_mask_rcnn_R_50_FPN_1x": "138602847/model_final_e9d89b.pkl",
        "mask_rcnn_R_50_FPN_3x_dconv_c3-c5": "144998336/model_final_821d0b.pkl",
        "cascade_mask_rcnn_R_50_FPN_3x": "144998488/model_final_480dd8.pkl",
        "mask_rcnn_R_50_FPN_3x_gn": "138602888/model_final_dc5d9e.pkl",
        "mask_rcnn_R_50_FPN_3x_syncbn": "169527823/model_final_3b3c51.pkl",
        "scratch_mask_rcnn_R_50_FPN_3x_gn": "138602908/model_final_01ca85.pkl",
        "scratch_mask_rcnn_R_50_FPN_9x_gn": "183808979/model_final_da7b4c.pkl",
        "scratch_mask_rcnn_R_50_FPN_9x_syncbn": "184226666/model_final_5ce33e.pkl",
        "panoptic_fpn_R_101_dconv_cascade_gn_3x": "139797668/model_final_be35db.pkl",
        "cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv": "18131413/model_0039999_e76410.pkl",
    },
    "PointRend/InstanceSegmentation": {
        "pointrend_rcnn_R_50_FPN_1x_coco": "164254221/model_final_736f5a.pkl",
        "pointrend_rcnn_R_50_FPN_3x_coco": "164955410/model_final_edd263.pkl",
        "pointrend_rcnn_R_101_FPN_3x_coco": "28119983/model_final_3f4d2a.pkl",
        "pointrend_rcnn_X_101_32x8d_FPN_3x_coco": "28119989/model_final_ba17b9.pkl",
        "pointrend_rcnn_R_50_FPN_1x_cityscapes": "164255101/model_final_115bfb.pkl",
    },
    "PointRend/SemanticSegmentation": {
        "pointrend_semantic_R_101_FPN_1x_cityscapes": "202576688/model_final_cf6ac1.pkl",
    },
    "DeepLab/Cityscapes-SemanticSegmentation": {
        "deeplab_v3_R_103_os16_mg124_poly_90k_bs16": "28041665/model_final_0dff1b.pkl",
        "deeplab_v3_plus_R_103_os16_mg124_poly_90k_bs16": "28054032/model_final_a8a355.pkl",
    },
    "PanopticDeepLab/Cityscapes-PanopticSegmentation": {
        "panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32_crop_512_1024": (
            "/detectron2/PanopticDeepLab/Cityscapes-PanopticSegmentation/"
            "panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32/model_final_bd324a.pkl"
        ),
        "panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32_crop_512_1024_dsconv": "model_final_23d03a.pkl",
    },
    "PanopticDeepLab/COCO-PanopticSegmentation": {
        "panoptic_deeplab_R_52_os16_mg124_poly_200k_bs64_crop_640_640_coco_dsconv": "model_final_5e6da2.pkl",
    },
    "ViTDet": {
        "mask_rcnn_vitdet_b_100ep": (
            "/detectron2/ViTDet/COCO/mask_rcnn_vitdet_b/f325346929/model_final_61ccd1.pkl"
        ),
        "mask_rcnn_vitdet_l_100ep": (
            "/detectron2/ViTDet/COCO/mask_rcnn_vitdet_l/f325599698/model_final_6146ed.pkl"
        ),
        "mask_rcnn_vitdet_h_75ep": (
            "/detectron2/ViTDet/COCO/mask_rcnn_vitdet_h/f329145471/model_final_7224f1.pkl"
        ),
        "cascade_mask_rcnn_swin_b_in21k_50ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_swin_b_in21k/f342979038/model_final_246a82.pkl"
        ),
        "cascade_mask_rcnn_swin_l_in21k_50ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_swin_l_in21k/f342979186/model_final_7c897e.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_b_in21k_100ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_mvitv2_b_in21k/f325820315/model_final_8c3da3.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_l_in21k_50ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_mvitv2_l_in21k/f325607715/model_final_2141b0.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_h_in21k_36ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_mvitv2_h_in21k/f326187358/model_final_2234d7.pkl"
        ),
        "cascade_mask_rcnn_vitdet_b_100ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_vitdet_b/f325358525/model_final_435fa9.pkl"
        ),
        "cascade_mask_rcnn_vitdet_l_100ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_vitdet_l/f328021305/model_final_1a9f28.pkl"
        ),
        "cascade_mask_rcnn_vitdet_h_75ep": (
            "/detectron2/ViTDet/COCO/cascade_mask_rcnn_vitdet_h/f328730692/model_final_f05665.pkl"
        ),
    },
    "ViTDet/LVIS": {
        "mask_rcnn_vitdet_b_100ep": (
            "/detectron2/ViTDet/LVIS/mask_rcnn_vitdet_b/329225748/model_final_5251c5.pkl"
        ),
        "mask_rcnn_vitdet_l_100ep": (
            "/detectron2/ViTDet/LVIS/mask_rcnn_vitdet_l/329211570/model_final_021b3a.pkl"
        ),
        "mask_rcnn_vitdet_h_100ep": (
            "/detectron2/ViTDet/LVIS/mask_rcnn_vitdet_h/332434656/model_final_866730.pkl"
        ),
        "cascade_mask_rcnn_swin_b_in21k_50ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_swin_b_in21k/329222304/model_final_a3a348.pkl"
        ),
        "cascade_mask_rcnn_swin_l_in21k_50ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_swin_l_in21k/329222724/model_final_2b94db.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_b_in21k_100ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_mvitv2_b_in21k/329477206/model_final_a00567.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_l_in21k_50ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_mvitv2_l_in21k/329661552/model_final_7838a5.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_h_in21k_50ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_mvitv2_h_in21k/330445165/model_final_ad4220.pkl"
        ),
        "cascade_mask_rcnn_vitdet_b_100ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_vitdet_b/329226874/model_final_df306f.pkl"
        ),
        "cascade_mask_rcnn_vitdet_l_100ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_vitdet_l/329042206/model_final_3e81c2.pkl"
        ),
        "cascade_mask_rcnn_vitdet_h_100ep": (
            "/detectron2/ViTDet/LVIS/cascade_mask_rcnn_vitdet_h/332552778/model_final_11bbb7.pkl"
        ),
    },
    "MViTv2": {
        "mask_rcnn_mvitv2_t_3x": "f307611773/model_final_1a1c30.pkl",
        "cascade_mask_rcnn_mvitv2_t_3x": "f308344828/model_final_c6967a.pkl",
        "cascade_mask_rcnn_mvitv2_s_3x": "f308344647/model_final_279baf.pkl",
        "cascade_mask_rcnn_mvitv2_b_3x": "f308109448/model_final_421a91.pkl",
        "cascade_mask_rcnn_mvitv2_b_in21k_3x": (
            "/detectron2/MViTv2/cascade_mask_rcnn_mvitv2_b_in12k_3x/f309003202/model_final_be5168.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_l_in21k_lsj_50ep": (
            "/detectron2/MViTv2/cascade_mask_rcnn_mvitv2_l_in12k_lsj_50ep/f308099658/model_final_c41c5a.pkl"
        ),
        "cascade_mask_rcnn_mvitv2_h_in21k_lsj_3x": (
            "/detectron2/MViTv2/cascade_mask_rcnn_mvitv2_h_in12k_lsj_3x/f309013744/model_final_30d36b.pkl"
        ),
    },
    "DensePose": {
        "densepose_rcnn_R_50_FPN_s1x_legacy": (
            "/densepose/densepose_rcnn_R_50_FPN_s1x_legacy/164832157/model_final_d366fa.pkl"
        ),
        "densepose_rcnn_R_101_FPN_s1x_legacy": (
            "/densepose/densepose_rcnn_R_101_FPN_s1x_legacy/164832182/model_final_10af0e.pkl"
        ),
        "densepose_rcnn_R_50_FPN_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_s1x/165712039/model_final_162be9.pkl"
        ),
        "densepose_rcnn_R_101_FPN_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_s1x/165712084/model_final_c6ab63.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_DL_s1x/165712097/model_final_0ed407.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_DL_s1x/165712116/model_final_844d15.pkl"
        ),
        "densepose_rcnn_R_50_FPN_WC1_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_WC1_s1x/173862049/model_final_289019.pkl"
        ),
        "densepose_rcnn_R_50_FPN_WC2_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_WC2_s1x/173861455/model_final_3abe14.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_WC1_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_DL_WC1_s1x/173067973/model_final_b1e525.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_WC2_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_DL_WC2_s1x/173859335/model_final_60fed4.pkl"
        ),
        "densepose_rcnn_R_101_FPN_WC1_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_WC1_s1x/171402969/model_final_9e47f0.pkl"
        ),
        "densepose_rcnn_R_101_FPN_WC2_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_WC2_s1x/173860702/model_final_5ea023.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_WC1_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_DL_WC1_s1x/173858525/model_final_f359f3.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_WC2_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_DL_WC2_s1x/173294801/model_final_6e1ed1.pkl"
        ),
        "densepose_rcnn_R_50_FPN_WC1M_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_WC1M_s1x/217144516/model_final_48a9d9.pkl"
        ),
        "densepose_rcnn_R_50_FPN_WC2M_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_WC2M_s1x/216245640/model_final_d79ada.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_WC1M_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_DL_WC1M_s1x/216245703/model_final_61971e.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_WC2M_s1x": (
            "/densepose/densepose_rcnn_R_50_FPN_DL_WC2M_s1x/216245758/model_final_7bfb43.pkl"
        ),
        "densepose_rcnn_R_101_FPN_WC1M_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_WC1M_s1x/216453687/model_final_0a7287.pkl"
        ),
        "densepose_rcnn_R_101_FPN_WC2M_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_WC2M_s1x/216245682/model_final_e354d9.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_WC1M_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_DL_WC1M_s1x/216245771/model_final_0ebeb3.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_WC2M_s1x": (
            "/densepose/densepose_rcnn_R_101_FPN_DL_WC2M_s1x/216245790/model_final_de6e7a.pkl"
        ),
    },
    "DensePose/evolution": {
        "densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA": (
            "/densepose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA/217578784/model_final_9fe1cc.pkl"
        ),
        "densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uniform": (
            "/densepose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uniform/256453729/"
            "model_final_241ff5.pkl"
        ),
        "densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uv": (
            "/densepose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uv/256452095/"
            "model_final_d689e2.pkl"
        ),
        "densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_finesegm": (
            "/densepose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_finesegm/256452819/"
            "model_final_cb4ac6.pkl"
        ),
        "densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_coarsesegm": (
            "/densepose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_coarsesegm/256455697/"
            "model_final_a6a4bf.pkl"
        ),
    },
    "DensePose/cse": {
        "densepose_rcnn_R_50_FPN_s1x": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_s1x/251155172/model_final_c4ea5f.pkl"
        ),
        "densepose_rcnn_R_101_FPN_s1x": (
            "/densepose/cse/densepose_rcnn_R_101_FPN_s1x/251155500/model_final_5c995f.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_s1x": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_DL_s1x/251156349/model_final_e96218.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_s1x": (
            "/densepose/cse/densepose_rcnn_R_101_FPN_DL_s1x/251156606/model_final_b236ce.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_s1x": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_s1x/250533982/model_final_2c4512.pkl"
        ),
        "densepose_rcnn_R_101_FPN_soft_s1x": (
            "/densepose/cse/densepose_rcnn_R_101_FPN_soft_s1x/250712522/model_final_4637da.pkl"
        ),
        "densepose_rcnn_R_50_FPN_DL_soft_s1x": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_DL_soft_s1x/250713703/model_final_9199f5.pkl"
        ),
        "densepose_rcnn_R_101_FPN_DL_soft_s1x": (
            "/densepose/cse/densepose_rcnn_R_101_FPN_DL_soft_s1x/250713061/model_final_1d3314.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_chimps_finetune_4k": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_chimps_finetune_4k/253146869/model_final_52f649.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_animals_finetune_4k": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_animals_finetune_4k/253145793/model_final_8f8ba2.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_animals_CA_finetune_4k": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_animals_CA_finetune_4k/253498611/"
            "model_final_6d69b7.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_16k": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_16k/270727112/"
            "model_final_421d28.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_m2m_16k": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_m2m_16k/270982215/"
            "model_final_6fe5f4.pkl"
        ),
        "densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_i2m_16k": (
            "/densepose/cse/densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_i2m_16k/270727461/"
            "model_final_8c9d99.pkl"
        ),
    },
}


def published_url(name: str) -> str | None:
    """Return the URL of what was published for a config; None if nothing was.

    Args:
        name: ``"COCO-Detection/faster_rcnn_R_50_FPN_1x"``; ``.py`` or ``.yaml`` may follow.
    """
    name = name.removesuffix(".py").removesuffix(".yaml")
    folder, _, config = name.rpartition("/")
    file = _PUBLISHED.get(folder, {}).get(config)
    if file is None:
        return None
    if file.startswith("https://"):
        return file
    return SERVER + (file if file.startswith("/") else f"/detectron2/{name}/{file}")


def published_checkpoints() -> list[str]:
    """Return the names of all configs with a published checkpoint."""
    return [f"{folder}/{config}" for folder, configs in _PUBLISHED.items() for config in configs]
