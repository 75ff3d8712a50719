"""A module that a calling code may trust as a whole, with all that can go wrong in one."""

import types

WORK = types.ModuleType("trusted_work")
exec(
    """
import os, subprocess, functools, operator, builtins, importlib, sys, pickle
from os import system
from subprocess import Popen as Process
from operator import methodcaller, attrgetter
from functools import partial
import os as deep
run = os.system
ready = functools.partial(os.system)
caller = operator.methodcaller("system", "true")
instance_of_os = os
_private = lambda x: x
class Layer:
    def __init__(self, **kwargs): self.kwargs = kwargs
    system = staticmethod(os.system)
    os = os
    def method(self): return 1
    class Inner: pass
class Meta(type): pass
def build(x=None): return Layer(x=x)
alias = build
def maker(): return lambda command: os.system(command)
made = maker()
""",
    WORK.__dict__,
)
