"""Random object graphs around captured steps: a change is seen or refused, always.

Each program is text, run twice to make two equal worlds: one steps eagerly, the other
captured. Then one thing is changed in both, deep in what the step reads.
"""

import random
import types

import numpy as np
import pytest
from profiles import BRIEF, NIGHTLY
from tensors import bits

import tensorgrad as tg

PROGRAMS = 4000 if NIGHTLY else 80 if BRIEF else 240
PARTS = 8

PRELUDE = """
import abc, collections, configparser, contextvars, copy, ctypes, dataclasses, enum
import functools, inspect, operator, string, threading, types, weakref
import numpy as np
import tensorgrad as tg

class Box:
    def __init__(self, item): self.item = item
class Private:
    def __init__(self, item): self.__item = item
    def get(self): return self.__item
    def put(self, item): self.__item = item
class Derived(Private):
    pass
class Above(Private):
    def get(self): return super().get()
class Viewed:
    def __init__(self, item):
        self.held = {"item": item}
        self.view = self.held.values()
class Property:
    def __init__(self, item): self._item = item
    @property
    def item(self): return self._item
class Slots:
    __slots__ = ("item",)
    def __init__(self, item): self.item = item
class Dynamic:
    def __init__(self, item): self.__dict__["fields"] = {"item": item}
    def __getattr__(self, name):
        try: return self.__dict__["fields"][name]
        except KeyError: raise AttributeError(name) from None
class Called:
    def __init__(self, item): self.item = item
    def __call__(self): return self.item
class Indexed:
    def __init__(self, item): self.items = [item]
    def __getitem__(self, i): return self.items[i]
class Iterated:
    def __init__(self, item): self.items = (item,)
    def __iter__(self): return iter(self.items)
class Entered:
    def __init__(self, item): self.item = item
    def __enter__(self): return self.item
    def __exit__(self, *args): return False
class Descriptor:
    def __get__(self, owner, kind=None): return owner.hidden
class Described:
    item = Descriptor()
    def __init__(self, item): self.hidden = item
class Once:
    def __init__(self, item): self.source = item
    @functools.cached_property
    def item(self): return self.source
@dataclasses.dataclass
class Data:
    item: object
@dataclasses.dataclass(slots=True)
class Slim:
    item: object
Pair = collections.namedtuple("Pair", "item other")
def closed(item):
    def get(): return item
    def put(new):
        nonlocal item
        item = new
    get.put = put
    return get
def decorated(item):
    @functools.wraps(closed)
    def get(*args): return item
    return get
def defaulted(item):
    def get(item=item): return item
    return get
def keyworded(item):
    def get(*, item=item): return item
    return get
def same(item): return item
def of_class(item):
    return type("Made", (Box,), {"item": item, "__init__": lambda self: None})()
def of_base(item): return type("Made", (type("Base", (), {"item": item}),), {})()
def of_meta(item): return type("Meta", (type,), {"item": item})("Kind", (), {})
def module(item):
    made = types.ModuleType("made")
    made.item = item
    return made
def attributed(item):
    def f(): return 0
    f.item = item
    return f
def static(item):
    return type("Made", (), {"get": staticmethod(lambda: item), "_item": item})
def variable(item):
    made = contextvars.ContextVar("made")
    made.set(item)
    return made
def cached(item):
    box = Box(item)
    @functools.lru_cache
    def get(): return box.item
    get.box = box
    return get
def referred(item):
    box = Box(item)
    keep.append(box)
    return weakref.ref(box)
def objects(item):
    made = np.empty(2, object)
    made[1] = item
    return made
def configured(text):
    made = configparser.ConfigParser()
    made.read_dict({"a": {"b": text}})
    return made
def opened(x):
    with x as item: return item
def picked(x):
    match x:
        case Box(item=item): return item
keep = []
log = []
"""
COMPILED = compile(PRELUDE, "prelude", "exec")

# What holds a thing, how the step gets it out, and how it is replaced there.
HOLDERS = [
    ("Box({})", "{}.item", "{}.item = {}"),
    ("Box({})", "getattr({}, 'it' + 'em')", "{}.item = {}"),
    ("Box({})", "vars({})['item']", "{}.item = {}"),
    ("Box({})", "operator.attrgetter('item')({})", "{}.item = {}"),
    ("Box({})", "picked({})", "{}.item = {}"),
    ("Private({})", "{}.get()", "{}.put({})"),
    ("Derived({})", "{}.get()", "{}.put({})"),
    ("Derived({})", "{}.get()", "Private.get = lambda self, x={1}: x"),
    ("Above({})", "{}.get()", "Private.get = lambda self, x={1}: x"),
    ("Viewed({})", "[*{}.view][0]", "{}.held['item'] = {}"),
    ("Property({})", "{}.item", "{}._item = {}"),
    ("Slots({})", "{}.item", "{}.item = {}"),
    ("Dynamic({})", "{}.item", "{}.fields['item'] = {}"),
    ("Dynamic({})", "{}.item", "{}.__dict__['item'] = {}"),
    ("Called({})", "{}()", "{}.item = {}"),
    ("Called({})", "{}()", "Called.__call__ = lambda self, x={1}: x"),
    ("Indexed({})", "{}[0]", "{}.items[0] = {}"),
    ("Iterated({})", "next(iter({}))", "{}.items = ({},)"),
    ("Iterated({})", "[*{}][0]", "{}.items = ({},)"),
    ("Entered({})", "opened({})", "{}.item = {}"),
    ("Described({})", "{}.item", "{}.hidden = {}"),
    ("Once({})", "{}.item", "{}.__dict__['item'] = {}"),
    ("Data({})", "{}.item", "{}.item = {}"),
    ("Data({})", "dataclasses.astuple({})[0]", "{}.item = {}"),
    ("Data({})", "copy.copy({}).item", "{}.item = {}"),
    ("Data({})", "dict(inspect.getmembers({}))['item']", "{}.item = {}"),
    ("Slim({})", "{}.item", "{}.item = {}"),
    ("types.SimpleNamespace(item={})", "{}.item", "{}.item = {}"),
    ("Pair({}, 1)", "{}.item", None),
    ("({}, 1)", "{}[0]", None),
    ("(1, {})", "(lambda a, b: b)(*{})", None),
    ("[{}]", "{}[0]", "{}[0] = {}"),
    ("[0, 1, {}]", "{}[-1]", "{}.append({})"),
    ("[0] * 300 + [{}]", "{}[300]", "{}[300] = {}"),
    ("[{}, 1, 2]", "[x for x in {}][0]", "{}.insert(0, {})"),
    ("{{'item': {}}}", "{}['item']", "{}['item'] = {}"),
    ("{{'item': {}}}", "{}.get('item')", "{}.update(item={})"),
    ("{{3: {}}}", "{}[3]", "{}[3] = {}"),
    ("{{(1, 2): {}}}", "{}[1, 2]", "{}[1, 2] = {}"),
    ("{{None: {}}}", "[*{}.values()][0]", "{}[None] = {}"),
    ("collections.OrderedDict(item={})", "{}['item']", "{}['item'] = {}"),
    ("collections.defaultdict(int, item={})", "{}['item']", "{}['item'] = {}"),
    ("collections.UserDict(item={})", "{}['item']", "{}['item'] = {}"),
    ("collections.UserList([{}])", "{}[0]", "{}[0] = {}"),
    ("collections.ChainMap({{}}, {{'item': {}}})", "{}['item']", "{}['item'] = {}"),
    ("collections.deque([{}])", "{}[0]", "{}.appendleft({})"),
    ("types.MappingProxyType(Box({}).__dict__)", "{}['item']", None),
    ("closed({})", "{}()", "{}.put({})"),
    ("decorated({})", "{}()", "{}.__closure__[0].cell_contents = {}"),
    ("defaulted({})", "{}()", "{}.__defaults__ = ({},)"),
    (
        "defaulted({})",
        "inspect.signature({}).parameters['item'].default",
        "{}.__defaults__ = ({},)",
    ),
    ("keyworded({})", "{}()", "{}.__kwdefaults__['item'] = {}"),
    ("keyworded({})", "{}()", "{}.__kwdefaults__ = {{'item': {}}}"),
    ("functools.partial(same, {})", "{}()", None),
    ("functools.partial(same, item={})", "{}()", "{}.keywords['item'] = {}"),
    ("of_class({})", "{}.item", "type({}).item = {}"),
    ("of_class({})", "getattr({}, ''.join(['it', 'em']))", "type({}).item = {}"),
    ("of_class({})", "[getattr({0}, n) for n in dir({0}) if n[0] == 'i'][0]", None),
    ("of_class({})", "{}.item", "{}.item = {}"),
    ("of_base({})", "{}.item", "type({0}).__base__.item = {1}"),
    ("of_base({})", "{}.item", "type({}).item = {}"),
    ("of_meta({})", "{}.item", "type({}).item = {}"),
    ("of_meta({})", "{}.item", "{}.item = {}"),
    ("module({})", "{}.item", "{}.item = {}"),
    ("attributed({})", "{}.item", "{}.item = {}"),
    ("static({})", "{}.get()", "{}.get = staticmethod(lambda x={}: x)"),
    ("variable({})", "{}.get()", "{}.set({})"),
    ("cached({})", "{}()", "{0}.box.item = {1}; {0}.cache_clear()"),
    ("referred({})", "{}().item", "{}().item = {}"),
    ("objects({})", "{}[1]", "{}[1] = {}"),
    ("(lambda x={}: x)", "{}()", "{}.__code__ = (lambda x=0: {}).__code__"),
]

# A number at the end: two values, how it is used, and what the change may be besides.
LEAVES = [
    ("2.0", "3.0", "{}"),
    ("2", "3", "{}"),
    ("2", "2.5", "{}"),
    ("True", "False", "(2.0 if {} else 3.0)"),
    ("None", "3.0", "(2.0 if {} is None else 3.0)"),
    ("'tanh'", "'exp'", "(2.0 if {} == 'tanh' else 3.0)"),
    ("np.float64(2.0)", "np.float64(3.0)", "{}"),
    ("{1, 2}", "{1, 3}", "(2.0 if 2 in {} else 3.0)"),
    ("(2.0, 1)", "(3.0, 1)", "{}[0]"),
    ("[]", "[1]", "(2.0 if not {} else 3.0)"),
    ("np.array([2.0, 1.0])", "np.array([3.0, 1.0])", "float({}[0])"),
    ("np.array([2.0, 1.0])", "np.array([3.0, 1.0])", "{}.sum()"),
    ("np.array([2.0, 1.0, 4.0])", "np.array([3.0, 1.0, 5.0])", "({} * 2)"),
    ("tg.Tensor([2.0, 1.0, 1.0])", "tg.Tensor([3.0, 1.0, 1.0])", "{}"),
    ("(lambda: 2.0)", "(lambda: 3.0)", "{}()"),
    ("abs", "np.exp", "{}(1.5)"),
    ("Box", "Slots", "(2.0 if hasattr({}, '__slots__') else 3.0)"),
    ("bytearray(b'a')", "bytearray(b'b')", "{}[0]"),
    ("ctypes.c_double(2.0)", "ctypes.c_double(3.0)", "{}.value"),
    ("threading.Event()", "threading.Condition", "(2.0 if {}.is_set() else 3.0)"),
    ("string.Template('2')", "string.Template('3')", "float({}.substitute())"),
    ("weakref.WeakSet([Box])", "weakref.WeakSet()", "(2.0 if Box in {} else 3.0)"),
    ("configured('2')", "configured('3')", "float({}['a']['b'])"),
    ("types.SimpleNamespace()", "Box(1)", "(2.0 if hasattr({}, 'item') else 3.0)"),
    ("type('A', (abc.ABC,), {})", "Box", "(2.0 if issubclass(Box, {}) else 3.0)"),
]

IN_PLACE = {
    "{1, 2}": "{}.discard(2)",
    "[]": "{}.append(1)",
    "np.array([2.0, 1.0])": "{}.__setitem__(0, 9.0)",
    "np.array([2.0, 1.0, 4.0])": "{}.sort()",
    "bytearray(b'a')": "{}.__setitem__(0, 7)",
    "ctypes.c_double(2.0)": "{}.value = 7.0",
    "threading.Event()": "{}.set()",
    "string.Template('2')": "{}.template = '7'",
    "weakref.WeakSet([Box])": "{}.discard(Box)",
    "configured('2')": "{}['a']['b'] = '7'",
    "types.SimpleNamespace()": "{}.item = 1",
    "type('A', (abc.ABC,), {})": "{}.register(Box)",
    "(lambda: 2.0)": "{}.__code__ = (lambda: 5.0).__code__",
}

ROOTS = [
    ("root{k} = {0}", "root{k}", "root{k} = {0}"),
    ("trainer.part{k} = {0}", "self.part{k}", "trainer.part{k} = {0}"),
    ("trainer.box{k} = Box({0})", "self.box{k}.item", "trainer.box{k}.item = {0}"),
    ("Trainer.kind{k} = {0}", "self.kind{k}", "trainer.kind{k} = {0}"),
    ("Base.low{k} = {0}", "self.low{k}", "Trainer.low{k} = {0}"),
    ("settings.item{k} = {0}", "settings.item{k}", "settings.item{k} = {0}"),
    (
        "def helper{k}(x={0}): return x",
        "helper{k}()",
        "def helper{k}(x={0}): return x",
    ),
    (
        "hidden{k} = {0}\ndef get{k}(): return hidden{k}",
        "get{k}()",
        "hidden{k} = {0}",
    ),
]

STEP = """
settings = types.ModuleType("settings")
class Base:
    def scaled(self, x): return x * self.scale
class Trainer(Base):
    def __init__(self):
        self.w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        self.v = tg.Tensor([0.5, 1.0, 1.5], requires_grad=True)
        self.scale = 0.5
        self.epoch = 0
        self.history = []
        self.optimizer = {optimizer}
    def loss(self, x):
        h = {model}
        return np.sum(self.scaled(h))
    def forward(self, x):
        return {forward}
    def step(self, x):
        total = self.loss(x)
        {update}
        return total, self.w * 1.0
trainer = Trainer()
"""

OPTIMIZERS = ["tg.optim.SGD([self.w, self.v], 0.01, momentum=0.9)"]
OPTIMIZERS += ["tg.optim.Adam([self.w, self.v], 0.01)"]
MODELS = [
    "self.forward(x)",
    "sum([self.forward(x), self.w])",
    "np.tanh(self.forward(x))",
]
UPDATES = [
    "self.optimizer.zero_grad(); total.backward(); self.optimizer.step()",
    "self.w.grad = None; self.v.grad = None; total.backward()",
    "pass",
]

# Changes that are not of what is read by name, but of the engine's things.
ENGINE = [
    "trainer.scale = 0.25",
    "trainer.w.register_hook(lambda g: g * 2)",
    "trainer.v.requires_grad = False",
    "trainer.w = tg.Tensor([4.0, 5.0, 6.0], requires_grad=True)",
    "trainer.w.data = np.array([4.0, 5.0, 6.0])",
    "trainer.optimizer = tg.optim.SGD([trainer.w, trainer.v], 0.5)",
    "trainer.optimizer.params.pop()",
    "trainer.optimizer.lr = 0.5",
    "trainer.forward = lambda x: x * trainer.w",
    "Trainer.loss = lambda self, x: np.sum(x * self.w)",
    "Base.scaled = lambda self, x: x * 7",
    "np.sum(trainer.w * 3).backward()",
    "trainer.w.numpy()[...] = 4.0",
    "class Other(Trainer):\n  def loss(self, x): return np.sum(x * self.w)\n"
    "trainer.__class__ = Other",
]

# What a loop around the step does, and the step does not see.
UNRELATED = [
    "trainer.epoch += 1",
    "trainer.history.append(1.0)",
    "log.append(2)",
    "unrelated = object()",
    "trainer.best = 0.1",
    "settings.other = 1",
    "Trainer.notes = 'x'",
]


class Program:
    """The text of a random step and of one change to what it reads."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.setup, self.changes = [], []
        terms = [self.read(k) for k in range(self.rng.randint(1, 3))]
        forward = " * ".join(["x", "self.w", "self.v", *terms])
        parts = {
            "optimizer": self.rng.choice(OPTIMIZERS),
            "model": self.rng.choice(MODELS),
            "update": self.rng.choice(UPDATES),
            "forward": forward,
        }
        self.text = STEP.format(**parts) + "\n".join(self.setup)
        of_engine = self.rng.random() < 0.2
        self.change = self.rng.choice(ENGINE if of_engine else self.changes)
        self.unrelated = self.rng.sample(UNRELATED, 3)

    def read(self, k):
        """Add a thing that the step reads, with the changes it can undergo."""
        value, other, use = self.rng.choice(LEAVES)
        held, new = f"leaf{k}", f"({other})"
        self.setup.append(f"{held} = {value}")
        if value in IN_PLACE:
            self.changes.append(IN_PLACE[value].format(held))
        getters = []
        for depth in range(self.rng.randint(0, 3)):
            make, get, put = self.rng.choice(HOLDERS)
            if put is not None:
                self.changes.append(put.format(f"holder{k}_{depth}", new))
            self.setup.append(f"holder{k}_{depth} = {make.format(held)}")
            held, new = f"holder{k}_{depth}", make.format(new)
            getters.append(get)
        root, expression, put = self.rng.choice(ROOTS)
        self.setup.append(root.format(held, k=k))
        self.changes.append(put.format(new, k=k))
        expression = expression.format(k=k)
        for get in reversed(getters):
            expression = get.format(expression)
        return use.format(expression)

    def world(self):
        space = vars(types.ModuleType(f"world_{id(self)}"))
        exec(COMPILED, space)
        exec(self.text, space)
        return space


def outcome(step, x):
    """Return the numbers of a step, or the class of its error."""
    try:
        found = step(x)
    except tg.CaptureError:
        raise
    except Exception as error:
        return type(error).__name__
    return bits([*found])


def tried(seed):
    """Return how a program ended: "refused", "stale" with a text, "seen" or "error"."""
    program = Program(seed)
    eager, captured = program.world(), program.world()
    plain, step = (
        eager["trainer"].step,
        tg.compile(captured["trainer"].step, fused=False),
    )
    x = np.array([0.1, 0.2, 0.3])
    try:
        for call in range(5):
            if outcome(step, x) != outcome(plain, x):
                return "stale", f"{program.text}\nwithout a change, in call {call}"
            for line in program.unrelated:
                exec(line, eager)
                exec(line, captured)
    except tg.CaptureError as error:
        return "refused", str(error)
    exec(program.change, eager)
    exec(program.change, captured)
    expected = outcome(plain, x)
    try:
        found = outcome(step, x)
    except tg.CaptureError:
        return "error", ""
    if found != expected:
        return "stale", f"{program.text}\n# then\n{program.change}"
    return "seen", ""


def counted(seeds):
    found = {"refused": [], "stale": [], "seen": [], "error": []}
    for seed in seeds:
        kind, text = tried(seed)
        found[kind].append((seed, text))
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_a_change_anywhere_is_seen_or_refused(part):
    found = counted(range(part, PROGRAMS, PARTS))
    total = sum(map(len, found.values()))
    stale = [f"seed {seed}:\n{text}" for seed, text in found["stale"]]
    assert not stale, f"{len(stale)} of {total} stale, the first {stale[0]}"
    assert len(found["refused"]) <= 0.02 * total, found["refused"][:3]
