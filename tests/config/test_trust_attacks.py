# ruff: noqa: E501
"""Ways from a data file to code, to files and to the network: each dangerous object at each place where a
file could put it, in YAML and in JSON, under the default policy and with the entries that people add to it.

A payload only creates a marker file; every file is refused while it is loaded, and the marker is not there.
"""

import json
import sys

import pytest

from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.json_io import parse_json
from lazycfg.config.formats.yaml_io import parse_yaml
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.node import Node
from lazycfg.config.trust import DEFAULT_ALLOW, Policy, UntrustedError

torch = pytest.importorskip("torch")

DANGEROUS_TEXT = """
    builtins.getattr builtins.setattr builtins.eval builtins.exec builtins.compile builtins.open
    builtins.__import__ builtins.map builtins.filter builtins.type builtins.bytes builtins.vars
    builtins.round builtins.sorted builtins.max builtins.min builtins.sum builtins.object builtins.memoryview
    builtins.print builtins.str.format builtins.dict.get builtins.dict.fromkeys builtins.int.from_bytes
    os.system posix.system os.popen os.mkdir os.remove os.putenv os._exit sys.exit sys.setrecursionlimit
    subprocess.Popen subprocess.run subprocess.os.system shutil.copy shutil.rmtree
    tempfile.NamedTemporaryFile pathlib.Path pathlib.Path.touch pathlib.Path.write_text io.open io.FileIO
    logging.FileHandler logging.config.dictConfig urllib.request.urlopen socket.socket
    socket.create_connection http.client.HTTPConnection webbrowser.open ctypes.CDLL mmap.mmap
    sqlite3.connect shelve.open zipfile.ZipFile gzip.open functools.partial functools.reduce
    functools.partialmethod functools.cached_property operator.call operator.methodcaller
    operator.attrgetter operator.itemgetter operator.setitem itertools.starmap types.FunctionType
    types.CodeType types.MethodType types.SimpleNamespace types.ModuleType importlib.import_module
    runpy.run_path pickle.loads pickle.Unpickler marshal.loads copyreg._reconstructor
    dataclasses.make_dataclass collections.namedtuple enum.Enum unittest.mock.Mock timeit.timeit
    threading.Thread multiprocessing.Process concurrent.futures.ThreadPoolExecutor asyncio.run
    atexit.register weakref.finalize torch.load torch.save torch.compile torch.hub.load torch.from_file
    torch.as_tensor torch.from_numpy torch.UntypedStorage.from_file torch.serialization.load
    torch.jit.load torch.jit.script torch.ops.load_library torch.package.PackageImporter
    torch.fx.symbolic_trace torch.fx.Graph torch.export.load torch.utils.cpp_extension.load_inline
    torch.utils.data.DataLoader torch.utils.data.dataset.TensorDataset
    torch.utils.data.datapipes.utils.decoder.basichandlers torch.utils.collect_env.run
    torch.utils.dlpack.from_dlpack torch.multiprocessing.spawn torch.distributed.init_process_group
    torch.profiler.profile torch.nn.Module.compile torch.nn.Module.load_state_dict
    torch.nn.Module.register_forward_hook torch.nn.Module.register_module torch.nn.Module.__setattr__
    torch.nn.Module.apply torch.nn.Linear.compile torch.nn.ParameterDict torch.nn.ParameterList
    torch.nn.Parameter torch.nn.Buffer torch.nn.DataParallel torch.nn.parallel.DistributedDataParallel
    torch.nn.parallel.parallel_apply torch.nn.init.normal_
    torch.nn.modules.module.register_module_forward_hook torch.nn.modules.container.ParameterDict
    torch.nn.modules.module.functools.partial torch.nn.modules.utils.List
    torch.nn.utils.parametrize.register_parametrization torch.nn.utils.parametrize.ParametrizationList
    torch.nn.utils.parametrizations.weight_norm torch.nn.utils.stateless.functional_call
    torch.nn.utils.rnn.torch.os.system torch.nn.cpp.OrderedDictWrapper torch.nn.cpp.ModuleWrapper
    torch.nn.functional.has_torch_function torch.nn.functional.boolean_dispatch
    torch.nn.functional.handle_torch_function torch.nn.attention.sdpa_kernel
    torch.nn.attention.flex_attention.flex_attention torch.nn.factory_kwargs
    torch.optim.Optimizer.register_step_pre_hook torch.optim.Optimizer.load_state_dict
    torch.optim.swa_utils.AveragedModel torch.optim.swa_utils.update_bn
    torch.optim.optimizer.register_optimizer_step_post_hook
    torch.optim.lr_scheduler.LRScheduler.load_state_dict torch.optim.lr_scheduler.wraps
    torch.optim.lr_scheduler.partial torchvision.ops.roi_align.lazy_compile torchvision.ops.nms
    torchvision.ops.MLP torchvision.io.write_file torchvision.io.read_file torchvision.io.decode_image
    torchvision.models.resnet18 torchvision.models.get_weight torchvision.datasets.utils.download_url
    torchvision.datasets.FakeData torchvision.transforms.Lambda
    torchvision.extension.torch.ops.load_library timm.create_model timm.utils.update_summary numpy.save
    numpy.load numpy.fromfile numpy.loadtxt numpy.memmap numpy.frombuffer numpy.vectorize numpy.asarray
    numpy.savez numpy.lib.format.open_memmap numpy.ctypeslib.load_library numpy.f2py.compile
    lazycfg.LazyConfig lazycfg.LazyConfig.load lazycfg.LazyConfig.save lazycfg.instantiate
    lazycfg.config.lazy.LazyConfig.load lazycfg.config.building.build.instantiate
    lazycfg.config.formats.files.save lazycfg.config.trust.Policy lazycfg.config.loading.load.load
    lazycfg.config.tree.targets.resolve_name lazycfg.config.tree.node.Node lazycfg.cli.main
    lazycfg.model_zoo.get_config lazycfg.engine.train lazycfg.engine.evaluate lazycfg.engine.Predictor
    lazycfg.engine.Predictor.from_config lazycfg.engine.predictor.Predictor.from_config
    lazycfg.engine.launch lazycfg.checkpoint.load_weights lazycfg.checkpoint.save_weights
    lazycfg.utils.atomic.atomic_write lazycfg.data.read_image lazycfg.data.image.read_image
    lazycfg.data.ShapesDataset.export_coco lazycfg.data.datasets.coco_export.convert_to_coco_json
    lazycfg.data.datasets.coco_export.export_coco lazycfg.data.datasets.proposals.read_proposals
    lazycfg.evaluation.inference_on_dataset lazycfg.evaluation.json_files.evaluate_json
    lazycfg.evaluation.COCOEvaluator.evaluate lazycfg.modeling.TorchvisionBackbone
    lazycfg.modeling.backbone.adapters.TorchvisionBackbone
    lazycfg.modeling.backbone.adapters.create_feature_extractor lazycfg.layers.fuse
    lazycfg.tracking.linear_sum_assignment lazycfg.tracking.assignment.linear_sum_assignment
    lazycfg.tracking.base_tracker.np.load lazycfg.solver.LRMultiplier.load_state_dict lazycfg.visualization.draw_instances
    lazycfg.modeling.GeneralizedRCNN.compile lazycfg.layers.blocks.nn.Module.compile
"""
DANGEROUS = DANGEROUS_TEXT.split()


class T:
    """A special value: ``!tag payload`` in YAML, ``{"!tag": payload}`` in JSON."""

    def __init__(self, tag, payload):
        self.tag, self.payload = tag, payload


def as_yaml(value):
    if isinstance(value, T):
        return f"!{value.tag} {as_yaml(value.payload)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {as_yaml(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    return json.dumps(value)


def as_json(value):
    if isinstance(value, T):
        return {f"!{value.tag}": as_json(value.payload)}
    if isinstance(value, dict):
        return {key: as_json(v) for key, v in value.items()}
    return [as_json(v) for v in value] if isinstance(value, list) else value


def name(text):
    return T("name", text)


def call(target, *args, **kwargs):
    return {"_target_": target, "_args_": list(args), **kwargs} if args else {"_target_": target, **kwargs}


GETATTR = name("builtins.getattr")
LINEAR = call(name("torch.nn.Linear"), in_features=2, out_features=2)
RELU = name("torch.nn.ReLU")
SHAPE = {"_class_": name("lazycfg.layers.ShapeSpec"), "channels": 1}
# Where a file can put an object.
PLACES = {
    "target in text": lambda n, a: call(n, *a),
    "target": lambda n, a: call(name(n), *a),
    "target, called later": lambda n, a: {**call(name(n), *a), "_partial_": True},
    "target of a target": lambda n, a: call(call(n, *a), *a),
    "target of a target of a target": lambda n, a: call(call(call(name(n)), *a), *a),
    "partial target": lambda n, a: call(T("partial", [name(n), a, {}])),
    "partial in a partial": lambda n, a: call(T("partial", [T("partial", [name(n), a, {}]), [], {}])),
    "partial value": lambda n, a: call(RELU, x=T("partial", [name(n), a, {}])),
    "argument of a partial": lambda n, a: call(T("partial", [RELU, [name(n)], {}])),
    "keyword of a partial": lambda n, a: call(RELU, x=T("partial", [RELU, [], {"key": name(n)}])),
    "plain value": lambda n, a: name(n),
    "argument": lambda n, a: call(RELU, name(n)),
    "keyword": lambda n, a: call(RELU, key=name(n)),
    "element": lambda n, a: [[name(n)]],
    "element of a tuple": lambda n, a: T("tuple", [1, T("tuple", [name(n)])]),
    "element of a set": lambda n, a: T("set", [name(n)]),
    "element of a frozenset": lambda n, a: T("tuple", [T("frozenset", [name(n)])]),
    "key": lambda n, a: T("dict", [[name(n), 1]]),
    "value": lambda n, a: T("dict", [[1, [name(n)]]]),
    "field": lambda n, a: T("object", {**SHAPE, "height": name(n)}),
    "class of an object": lambda n, a: T("object", {"_class_": name(n), "args": a}),
    "class of a member": lambda n, a: T("member", [name(n), "x"]),
    "constructor": lambda n, a: T("construct", [name(n), a, {}]),
    "argument of a constructor": lambda n, a: T("construct", [name("builtins.slice"), [name(n)], {}]),
    "factory": lambda n, a: T("construct", [name("collections.defaultdict"), [name(n)], {}]),
    "value of a counter": lambda n, a: T("construct", [name("collections.Counter"), [{"a": name(n)}], {}]),
    "value of an ordered dict": lambda n, a: T(
        "construct", [name("collections.OrderedDict"), [T("dict", [["a", name(n)]])], {}]
    ),
    "owner of an attribute": lambda n, a: call(GETATTR, name(n), "weight"),
    "built owner of an attribute": lambda n, a: call(GETATTR, call(n, *a), "weight"),
    "method of what it builds": lambda n, a: call(call(GETATTR, call(n, *a), "parameters")),
    "attribute": lambda n, a: T("attribute", [name(n.rpartition(".")[0]), n.rpartition(".")[2]]),
    "attribute by a node": lambda n, a: call(GETATTR, call(n.rpartition(".")[0]), n.rpartition(".")[2]),
    "mapped over a data set": lambda n, a: call(
        name("lazycfg.data.MapDataset"), call(name("lazycfg.data.DatasetFromList"), a), name(n)
    ),
    "key function": lambda n, a: call("torch.optim.lr_scheduler.LambdaLR", LINEAR, lr_lambda=name(n)),
}
ENTRIES_TEXT = """
    torch.utils.data torch.utils torch torch.nn.utils torch.nn.parallel torch.nn.modules
    torch.optim.swa_utils lazycfg lazycfg.engine lazycfg.checkpoint lazycfg.utils lazycfg.config
    lazycfg.cli lazycfg.model_zoo torchvision torchvision.io torchvision.ops torchvision.models timm numpy
    builtins os pathlib functools subprocess operator pickle types importlib logging
"""
ARGUMENTS = [["touch {M}"], [["touch", "{M}"]], ["{M}", "w"]]


def texts(value, marker):
    value = {"x": value}
    yield "yaml", as_yaml(value).replace("{M}", str(marker))
    yield "json", json.dumps(as_json(value)).replace("{M}", str(marker))


def refused(text, suffix, policy, file):
    """Whether reading a text under a policy is refused (without the way over a file)."""
    from lazycfg.config.formats.decode import decode

    parse = parse_json if suffix == "json" else parse_yaml
    try:
        decode(parse(text.encode(), file), file, policy, may_run=False)
    except ConfigError as error:
        return str(file) in str(error)
    return False


@pytest.mark.parametrize("place", list(PLACES))
def test_a_dangerous_object_at_every_place(place, tmp_path):
    marker, policy = tmp_path / "marker", Policy(None)
    for dangerous in DANGEROUS:
        for arguments in ARGUMENTS[:1]:
            for suffix, text in texts(PLACES[place](dangerous, arguments), marker):
                assert refused(text, suffix, policy, "evil.data"), (dangerous, text)
        assert not marker.exists(), dangerous


@pytest.mark.parametrize("place", ["target", "target in text", "argument", "factory", "partial value"])
def test_whole_packages_of_others_allow_nothing(place, tmp_path):
    marker = tmp_path / "marker"
    policy = Policy((*DEFAULT_ALLOW, *ENTRIES_TEXT.split()))
    for dangerous in DANGEROUS:
        for arguments in ARGUMENTS:
            for suffix, text in texts(PLACES[place](dangerous, arguments), marker):
                assert refused(text, suffix, policy, "evil.data"), (dangerous, text)
    assert not marker.exists()


ATTRIBUTES_TEXT = """
    compile forward __call__ __class__ __dict__ __init__ __globals__ __reduce__ __array_interface__
    _modules export_coco load_state_dict state_dict register_forward_hook register_forward_pre_hook
    register_buffer register_module add_module apply to cuda half share_memory train eval requires_grad_
    get_submodule set_submodule evaluate process reset step zero_grad add_param_group __setattr__
    __getattribute__ hook T data grad grad_fn backward numpy tofile tolist storage untyped_storage
    register_hook map_func copy_
"""


def test_attributes_that_are_not_listed():
    owners = [LINEAR, call("lazycfg.layers.LayerNorm", 2), call("lazycfg.data.ShapesDataset", num_images=1),
              call(GETATTR, LINEAR, "weight"), call(call(GETATTR, LINEAR, "parameters")),
              call("lazycfg.solver.get_default_optimizer_params", LINEAR)]  # fmt: skip
    for attribute in ATTRIBUTES_TEXT.split():
        for owner in owners:
            node = call(GETATTR, owner, attribute)
            for value in (node, call(node), call(node, "/any/folder"), [node], call(RELU, node)):
                for suffix, text in texts(value, "M"):
                    assert refused(text, suffix, Policy(None), "evil.data"), text


def test_odd_forms_of_an_attribute():
    for args in ([], [LINEAR], [LINEAR, "weight", 1], [LINEAR, ["weight"]], ["${m}", "weight"],
                 [name("torch.nn.Linear"), "weight"], [1, "weight"], [LINEAR, "${n}"], [LINEAR, "weight\0"],
                 [LINEAR, "ｗeight"], [[LINEAR], "weight"], [T("partial", [name("torch.nn.Linear"), [], {}]), "weight"]):  # fmt: skip
        for extra in ({}, {"default": 1}):
            value = {"_target_": GETATTR, "_args_": args, **extra}
            for suffix, text in texts({"m": LINEAR, "n": "compile", "x": value}, "M"):
                assert refused(text, suffix, Policy(None), "evil.data"), text


ODD_NODES = {
    "attribute of nothing": {"_target_": GETATTR},
    "arguments by interpolation": {"_target_": GETATTR, "_args_": "${a}"},
    "called later by interpolation": {"_target_": RELU, "_partial_": "${a}"},
    "target by interpolation": {"_target_": "${a}"},
    "target in a list": {"_target_": [RELU]},
    "target that is a number": {"_target_": 1},
    "target that is a mapping": {"_target_": {"a": 1}},
    "array by its interface": call(
        "numpy.array",
        call("lazycfg.structures.Instances", [1, 1], __array_interface__={"data": [4096, False]}),
    ),
    "name with two underscores": call("lazycfg.structures.Instances", [1, 1], __array_interface__={}),
    "array of what is built": call("numpy.array", call("torch.nn.Identity")),
    "array of an interpolation": call("numpy.array", "${a}"),
    "tensor of what is built": call("torch.tensor", [[call("torch.nn.Identity")]]),
    "constructed tensor of what is built": T(
        "construct", [name("torch.tensor"), [call("torch.nn.Identity")], {}]
    ),
    "array of objects": T("construct", [name("numpy.array"), [[1]], {"dtype": "O"}]),
    "array like another": T("construct", [name("numpy.array"), [[1]], {"like": "x"}]),
    "target in a dict": T("dict", [["_target_", "os.system"]]),
    "target in an ordered dict": T(
        "construct", [name("collections.OrderedDict"), [[T("tuple", ["_target_", "os.system"])]], {}]
    ),
    "target in a counter": T("construct", [name("collections.Counter"), [["_target_"]], {}]),
    "dict of pairs that are built": call("builtins.dict", call("builtins.list", [])),
    "an integer as an int subclass": T("construct", [name("builtins.int"), ["1"], {}]),
    "bytes of a size": call("builtins.bytes", 16_000_000_000),
    "byte array of a size": T("construct", [name("builtins.bytearray"), [16_000_000_000], {}]),
    "long range": T("construct", [name("builtins.range"), [10**11], {}]),
    "list of a long range": call("builtins.list", call("builtins.range", 10**11)),
    "range of what is built": call("builtins.range", call("builtins.int", "100000000000")),
    "set of a list that is built": call("builtins.set", call("builtins.list", [])),
    "source": T("source", "f"),
}


@pytest.mark.parametrize("form", list(ODD_NODES))
def test_odd_nodes(form):
    for suffix, text in texts(ODD_NODES[form], "M"):
        assert refused(text, suffix, Policy(None), "evil.data"), text


VARIANTS = {
    "getattr in a partial": """
model:
  _target_:
    _target_: {_target_: &ga !partial [!name builtins.getattr, [], {}], _args_: [{_target_: *ga, _args_: [!name torch.nn.functional.relu, __builtins__]}, get]}
    _args_: [eval]
  _args_: ["open('{M}', 'w')"]
""",
    "lazy_compile": """
x:
  _target_:
    _target_: {_target_: torchvision.ops.roi_align.lazy_compile, options: {cpp.cxx: "touch {M}"}}
    _args_: [!name torch.nn.functional.silu]
  _args_: [{_target_: torch.tensor, _args_: [[1.0]]}]
""",
    "compile of a module": """
m: &m {_target_: lazycfg.layers.LayerNorm, _args_: [2]}
c: {_target_: {_target_: !name builtins.getattr, _args_: [*m, compile]}, options: {cpp.cxx: "touch {M}"}}
x: {_target_: *m, _args_: [{_target_: torch.tensor, _args_: [[[[[1.0]], [[2.0]]]]]}]}
""",
    "calling a module": "m: &m {_target_: torch.nn.Identity}\nx: {_target_: *m, _args_: [1]}",
    "calling a shared attribute": """
m: {_target_: torch.nn.Linear, _args_: [1, 1]}
x: {_target_: {_target_: {_target_: !name builtins.getattr, _args_: [{_target_: torch.nn.Identity}, parameters]}}}
""",
    "Python by a keyword": "n: !partial [!name os.system, [], {\"a=open('{M}', 'w'), b\": 1}]",
    "files by a data set": "x: {_target_: {_target_: !name builtins.getattr, _args_: "
    "[{_target_: lazycfg.data.ShapesDataset, num_images: 1}, export_coco]}, _args_: ['{M}']}",
    "memory": "x: {_target_: numpy.array, _args_: [{_target_: torch.nn.ParameterDict, _args_: "
    "[{__array_interface__: {data: !tuple [4096, false], shape: !tuple [64], typestr: '|u1', version: 3}}]}]}",
    "a config of its own": "x: {_target_: lazycfg.engine.Predictor.from_config, _args_: [{_target_: builtins.dict, "
    "model: {_target_: builtins.dict, _args_: [[[_target_, os.system], [_args_, ['touch {M}']]]]}}]}",
    "traced into code": "x: {_target_: lazycfg.modeling.TorchvisionBackbone, model: {_target_: torch.nn.ModuleDict, "
    '_args_: [{\'a", open("{M}", "w"), "\': {_target_: torch.nn.Identity}}]}, out_features: [x]}',
}


@pytest.mark.parametrize("allow", ["default", "people add"])
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_known_ways(variant, allow, tmp_path):
    file, marker = tmp_path / "evil.yaml", tmp_path / "marker"
    file.write_text(VARIANTS[variant].replace("{M}", str(marker)))
    entries = DEFAULT_ALLOW if allow == "default" else (*DEFAULT_ALLOW, *ENTRIES_TEXT.split())
    with pytest.raises(UntrustedError):
        LazyConfig.load(file, allow=entries)
    assert not marker.exists()


OVERRIDES = """
    +y={_target_:{_target_:torchvision.ops.roi_align.lazy_compile},_args_:[1]}
    +y={_target_:{_target_:torch.nn.Identity},_args_:[1]} +y={_target_:[torch.nn.Identity]}
    +y={_target_:torch.nn.Identity,__class__:1} m._target_={_target_:torch.nn.Identity}
    m._target_=[1] +m._target_._target_=torch.nn.Identity +y=[{_target_:{_target_:torch.nn.Identity}}]
    +y={a:{_target_:numpy.array}} m.x=@torch.load
"""


@pytest.mark.parametrize("override", OVERRIDES.split())
def test_overrides_under_a_policy(override):
    cfg = Node(m=Node(_target_=torch.nn.Identity, x=1))
    before = cfg.copy()
    with pytest.raises(ConfigError):
        LazyConfig.apply_overrides(cfg, [override], allow=DEFAULT_ALLOW)
    assert cfg == before


@pytest.mark.parametrize("dangerous", DANGEROUS)
def test_dangerous_overrides(dangerous):
    cfg = Node(m=Node(_target_=torch.nn.Identity, x=1))
    for form in ("m.x=@{}", "m=@{}", "m._target_={}", "m._target_=@{}", "+y={{_target_:{}}}", "+y=[@{}]",
                 "+y={{a:[@{}]}}", "**._target_={}", "m.*=@{}"):  # fmt: skip
        with pytest.raises(ConfigError):
            LazyConfig.apply_overrides(cfg, [form.format(dangerous)], allow=DEFAULT_ALLOW)
    assert cfg == Node(m=Node(_target_=torch.nn.Identity, x=1))


def test_nothing_was_imported_to_be_refused():
    for module in ("webbrowser", "sqlite3", "shelve", "timm.utils", "torch.utils.cpp_extension", "runpy"):
        if module not in sys.modules:
            with pytest.raises(UntrustedError):
                Policy(None).resolve(f"{module}.open")
            assert module not in sys.modules


NEVER_TEXT = """
    builtins.getattr lazycfg.engine.train lazycfg.engine.evaluate lazycfg.engine.Predictor.from_config
    lazycfg.LazyConfig.load lazycfg.config.lazy.LazyConfig lazycfg.config.building.build.instantiate lazycfg.instantiate
    lazycfg.config.loading.load.load lazycfg.cli.main.main lazycfg.model_zoo.get_config
"""


@pytest.mark.parametrize("never", NEVER_TEXT.split())
@pytest.mark.parametrize("place", ["target", "target in text", "argument", "partial value"])
def test_no_entry_allows_what_runs_a_config_of_its_own(never, place):
    for suffix, text in texts(PLACES[place](never, [{"model": {"_args_": ["touch {M}"]}}]), "M"):
        assert refused(text, suffix, Policy((*DEFAULT_ALLOW, never)), "evil.data"), text


@pytest.mark.parametrize(
    "package", ["torch.utils.data", "lazycfg.engine", "torchvision.models", "timm", "os"]
)
def test_an_entry_that_means_nothing_is_explained(package, tmp_path):
    (tmp_path / "x.yaml").write_text(f"x: {{_target_: {package}.Anything}}")
    with pytest.raises(UntrustedError, match=f"{package}' cannot be allowed as a whole"):
        LazyConfig.load(tmp_path / "x.yaml", allow=(*DEFAULT_ALLOW, package))
