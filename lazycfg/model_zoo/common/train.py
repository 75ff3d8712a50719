"""Settings of a training run. Every key, with its default and what it means; change what you need:

from ..common.train import train
train.max_iter = 1000
"""

from typing import Any

train: Any = dict(
    # The folder for the config, log.txt, metrics.json, checkpoints, results and drawn images.
    output_dir="./output",
    # Weights to start from: a file (.safetensors, .pth, .pkl) of a model or of a backbone alone, or a name to
    # download: a zoo config, "torchvision://...", "detectron2://...", "https://...". "": random weights.
    init_checkpoint="",
    # Patterns of keys that are not loaded from init_checkpoint: ["roi_heads.box_predictor.*"].
    init_ignore=[],
    # Optimizer steps to train. The learning rate schedule stretches with it.
    max_iter=90000,
    # "auto" takes a GPU, else MPS, else the CPU. Also "cpu", "cuda", "cuda:1", "mps".
    device="auto",
    # The seed of initial weights, of the order of the data and of everything random in training. None (or
    # -1): a new one in every run.
    seed=42,
    # Mixed precision, with dtype "bfloat16" (no loss scaling, nothing to tune) or "float16".
    amp=dict(enabled=False, dtype="bfloat16"),
    # Arguments of DistributedDataParallel, for runs that are started with torchrun.
    ddp=dict(broadcast_buffers=False, find_unused_parameters=False, fp16_compression=False),
    # How many minutes a process waits for the others before it gives up.
    dist_timeout_minutes=30,
    # Use the channels_last memory layout: faster on CPUs, and on GPUs with mixed precision.
    channels_last=False,
    # Let cuDNN time its algorithms for each new shape: faster if all images have the same size.
    cudnn_benchmark=False,
    # Gradient accumulation: the number of batches per optimizer step, whose gradients are averaged.
    accumulate=1,
    # Gradient clipping: L(ClipGradNorm)(max_norm=1.0) of lazycfg.solver. None: no clipping.
    clip_grad=None,
    # Save a checkpoint every `period` steps and at the end, and keep the last `max_to_keep`.
    checkpointer=dict(period=5000, max_to_keep=10),
    # Steps between evaluations; 0 for only the one at the end.
    eval_period=5000,
    # Keep the weights with the best value of this metric ("bbox/AP", "segm/AP") as model_best.safetensors: of
    # a loss the smallest, of others the largest. "" keeps none.
    best_metric="",
    # Steps between two lines of the log. Losses are only read from the GPU then.
    log_period=20,
    # On a terminal, show a progress bar instead of these lines; log.txt has them in any case.
    progress_bar=True,
    # Experiment trackers: "tensorboard", "wandb", "mlflow", "trackio", or with arguments
    # [L(WandbWriter)(project="birds")] of lazycfg.engine. Each needs pip install 'lazycfg[NAME]'.
    writers=[],
    # The same as "tensorboard" in `writers`.
    tensorboard=False,
    # How many test images to draw after each evaluation, with ground truth and predictions side by side.
    pictures=8,
    # A font file (.ttf, .otf, .ttc) for their labels. None: a system font that has the letters.
    font=None,
    # Before the first step, send a few samples through data, model and evaluation, and read some images.
    preflight=True,
    # Allow the model to have more classes than the data.
    extra_classes=False,
    # Hooks, code around the steps: [L(EarlyStopping)(metric="bbox/AP")] of lazycfg.engine, or your own.
    hooks=[],
)
