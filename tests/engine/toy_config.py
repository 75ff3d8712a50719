"""The toy job as a config file."""

from toy_job import KillAt, ToyEvaluator, ToyModel, toy_loader, toy_test_loader

from lazycfg import LazyCall as L
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import warmup_cosine
from lazycfg.model_zoo.common.train import train
from lazycfg.solver import ClipGradNorm

model = L(ToyModel)(noise=True)
dataloader = dict(  # noqa: C408
    train=L(toy_loader)(total_batch_size=4, num_workers=0, seed="${train.seed}"),
    test=L(toy_test_loader)(),
    evaluator=L(ToyEvaluator)(),
)
lr_multiplier = warmup_cosine(warmup_length=0.2, warmup_factor=0.1)
optimizer.lr = 0.1
train.update(max_iter=24, log_period=5, eval_period=6, device="cpu", clip_grad=L(ClipGradNorm)(max_norm=1.0))
train.checkpointer.period = 7
train.hooks = [L(KillAt)(iteration=-1)]
