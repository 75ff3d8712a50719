"""Other libraries' names, answered by lazycfg, for programs that were written for them.

Nothing is switched on by importing this package; `lazycfg.compat.detectron2` is what answers for detectron2.
"""
