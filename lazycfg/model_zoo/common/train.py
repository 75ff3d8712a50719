"""Settings of a training run.  All keys there are, with the meaning of each; change what differs:

from ..common.train import train
train.max_iter = 1000
"""

from typing import Any

train: Any = dict(
    # Where the config, log.txt, metrics.json, checkpoints, results and pictures go.
    output_dir="./output",
    # Weights to start from: a file of ours (.safetensors), of detectron2 (.pkl, .pth), of a backbone alone;
    # or a name that is downloaded once: "detectron2://...", "https://...", a zoo config's. "": none.
    init_checkpoint="",
    # Keys of weights to leave as they are initialised, as patterns: ["roi_heads.box_predictor.*"].
    init_ignore=[],
    # Optimizer steps. The schedule of the learning rate stretches with it.
    max_iter=90000,
    # "auto": the GPU of this process, or MPS, or the CPU.
    device="auto",
    # Of initial weights, of the order of the data and everything random in training; None (or -1) for another
    # one in every run.
    seed=42,
    # Mixed precision: dtype "bfloat16" (no loss scaling, nothing to tune) or "float16".
    amp=dict(enabled=False, dtype="bfloat16"),
    # Arguments of DistributedDataParallel, for runs started by torchrun.
    ddp=dict(broadcast_buffers=False, find_unused_parameters=False, fp16_compression=False),
    # A process that waits longer than this for the others gives up.
    dist_timeout_minutes=30,
    # Memory layout of weights and activations: faster on CPUs, and on GPUs in mixed precision.
    channels_last=False,
    # Let cuDNN time its algorithms for each new shape: faster where all images have one size.
    cudnn_benchmark=False,
    # Batches per optimizer step, their gradients averaged: for batches that do not fit at once.
    accumulate=1,
    # Called with the parameters before each step: L(ClipGradNorm)(max_norm=1.0) (lazycfg.solver). None: none.
    clip_grad=None,
    # A checkpoint to resume from every `period` steps and at the end; the last `max_to_keep` are kept.
    checkpointer=dict(period=5000, max_to_keep=10),
    # Steps between evaluations; 0 for only the one at the end.
    eval_period=5000,
    # Keep the weights that are best by this result ("bbox/AP", "segm/AP") as model_best.safetensors. "": no.
    best_metric="",
    # Steps between two lines of the log; losses are read from the device only then.
    log_period=20,
    # Write event files for TensorBoard beside metrics.json (needs pip install 'lazycfg[tensorboard]').
    tensorboard=False,
    # Test pictures to draw after each evaluation, predictions beside ground truth.
    pictures=8,
    # A font file (.ttf, .otf, .ttc) for their labels; None takes one that has the letters.
    font=None,
    # Before the first step, let a few samples through data, model and evaluation, and read some images.
    preflight=True,
    # Whether the model may tell more classes apart than the data has.
    extra_classes=False,
    # More of what happens around the steps: [L(EarlyStopping)(metric="bbox/AP")] of lazycfg.engine, or yours.
    hooks=[],
)
