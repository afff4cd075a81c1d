"""Do other programs read what gpu-mlp writes, and get the same log-probabilities?

    python tests/exports.py PROGRAM

trains a small network of each form in a temporary folder, exports it, loads the files with gensim, ONNX Runtime and NumPy,
and model.safetensors with the PyTorch loader of README.md, and compares all of them with `predict` and `score` of the
program. Without PyTorch, which is large, NumPy takes the loader's place, and a line says so; where
GPU_MLP_REQUIRE_TORCH is set that is a failure.
Needs the packages of tests/exports.txt.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gensim
import numpy
import onnxruntime
from safetensors.numpy import load_file

try:
    import torch
except ImportError:
    torch = None
    if os.environ.get("GPU_MLP_REQUIRE_TORCH"):
        raise

TOLERANCE = 1e-5
README = Path(__file__).resolve().parent.parent / "README.md"

WORDS = """the dog saw the cat .
the cat saw a\u00a0dog \\ and ran .

a dog ran to the king .
the king saw a woman and a man .
"""
SHORT = "--cpu --quiet --steps 300 --batch 16"
# Name, options of `train`, contexts, a line to score.
NETWORKS = [
    ("small", "--hidden 40", ["", "e", "emm", "olivia"], "emma"),
    ("direct", "--hidden 20 --direct", ["", "emm"], "olivia"),
    ("direct-alone", "--hidden 0 --direct --context 4", ["", "emm"], "ava"),
    ("words", "words.txt --tokens words --text stream --marks --split 600/100/rest --context 3 --embedding 8 --hidden 12",
     ["", "the dog", "the cat saw the"], "the dog saw a cat ."),
    ("tied", "words.txt --tokens words --split 60/20/20 --context 3 --embedding 8 --hidden 8 --tied", ["", "the dog saw"],
     "the king saw a dog ."),
    ("running", "words.txt --text stream --split 3000/500/rest --context 5 --hidden 20", ["", "the d"], "the cat"),
]


def close(what, found, expected):
    """Ends the script where two arrays differ."""
    found, expected = numpy.asarray(found, "f8"), numpy.asarray(expected, "f8")
    assert found.shape == expected.shape, f"{what}: {found.shape}, not {expected.shape}"
    difference = numpy.abs(found - expected).max()
    assert difference < TOLERANCE, f"{what}: differs by {difference}"
    return difference


def log_softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(1, keepdims=True))


def by_formula(w, ids):
    """The loader of README.md in NumPy, in double precision."""
    w = {name: w[name].astype("f8") for name in w}
    x = w["embedding.weight"][ids].reshape(len(ids), -1)
    logits = w["output.bias"] + (x @ w["direct.weight"].T if "direct.weight" in w else 0)
    if "hidden.weight" in w:
        hidden = numpy.tanh(x @ w["hidden.weight"].T + w["hidden.bias"])
        logits = logits + hidden @ w.get("output.weight", w["embedding.weight"]).T
    return log_softmax(logits)


def by_readme(path, ids):
    """The PyTorch loader as it stands in README.md."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    [loader] = [block for block in blocks if "load_file" in block]
    named = "runs/first/model.safetensors"
    assert named in loader, f"README.md: the loader does not name {named}"
    names = {}
    exec(loader.replace(named, str(path)), names)
    return names["logits"](torch.tensor(ids)).log_softmax(1).numpy()


def unescaped(label):
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), label)


class Network:
    """A model that the program trained, and what the program says of it."""

    def __init__(self, program, folder, name, options):
        self.program, self.folder, self.name = program, folder, name
        self.run("train", *options.split(), *SHORT.split(), "--out", name)
        [inspected] = self.run("inspect", name)
        self.tokens, self.settings = inspected["tokens"], inspected["settings"]
        self.context = inspected["shape"]["context"]
        self.words = self.settings["tokens"] == "words"
        self.end = 0 if self.settings["text"] == "lines" else None

    def run(self, *arguments, text=None):
        command = [self.program, *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, input=text, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def export(self, form, *options):
        [event] = self.run("export", self.name, "--format", form, *options)
        return [self.folder / file for file in event["files"]]

    def ids(self, text):
        first = 0 if self.end is None else 1
        return [self.tokens.index(token, first) for token in (text.split() if self.words else text)]

    def last(self, ids):
        """The context that some ids end in."""
        return ([0] * self.context + ids)[-self.context:]

    def predicted(self, text):
        """Log-probabilities of all tokens after a text, by `predict`."""
        events = self.run("predict", self.name, text, "--top", "0", "--cpu")
        of = {event["token"]: event["log_probability"] for event in events}
        assert len(of) == len(self.tokens)
        return [of[token] for token in self.tokens]

    def scored(self, line):
        """The contexts of a line's tokens, the tokens, and their log-probabilities by `score`."""
        events = self.run("score", self.name, "--cpu", text=line + "\n")
        ids = self.ids(line) + ([] if self.end is None else [self.end])
        assert len(events) >= len(ids)
        contexts = [self.last(ids[:place]) for place in range(len(ids))]
        return contexts, ids, [event["log_probability"] for event in events[:len(ids)]]


def check_log_probabilities(network, contexts, line):
    ids = numpy.array([network.last(network.ids(text)) for text in contexts])
    expected = [network.predicted(text) for text in contexts]
    line_contexts, targets, scores = network.scored(line)
    [onnx], [npz] = network.export("onnx"), network.export("npz")
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["vocabulary"]) == network.tokens
    arrays = numpy.load(npz)
    assert json.loads(arrays["vocabulary"].item()) == network.tokens
    safetensors = network.folder / network.name / "model.safetensors"
    tensors = load_file(safetensors)
    assert set(arrays.files) == {*tensors, "vocabulary"}
    for name, tensor in tensors.items():
        assert arrays[name].dtype == numpy.float32 and (arrays[name] == tensor).all(), name
    ways = {
        "onnxruntime": lambda ids: session.run(["log_probabilities"], {"context": ids})[0],
        "numpy": lambda ids: by_formula({name: arrays[name] for name in tensors}, ids),
    }
    if torch:
        ways["pytorch"] = lambda ids: by_readme(safetensors, ids)
    for way, compute in ways.items():
        worst = close(f"{network.name}, {way}, predict", compute(ids), expected)
        of_line = compute(numpy.array(line_contexts))[numpy.arange(len(targets)), targets]
        worst = max(worst, close(f"{network.name}, {way}, score", of_line, scores))
        print(f"{network.name}: {way} differs from the program by {worst:.1e} at most")


def check_vectors(network):
    tensors = load_file(network.folder / network.name / "model.safetensors")
    for which, name in ("input", "embedding.weight"), ("output", "output.weight"):
        if which == "output" and "hidden.weight" not in tensors:
            continue
        rows = tensors.get(name, tensors["embedding.weight"])
        [path] = network.export("word2vec", "--vectors", which)
        vectors = gensim.models.KeyedVectors.load_word2vec_format(path)
        labels = vectors.index_to_key
        names = ["</s>" if place == network.end else unescaped(label) for place, label in enumerate(labels)]
        assert names == [("</s>" if place == network.end else token) for place, token in enumerate(network.tokens)]
        assert (vectors.vectors == rows).all(), name
        token = network.tokens[3]
        found = [(event["id"], event["similarity"]) for event in
                 network.run("neighbors", network.name, token, "--vectors", which, "--top", "5")]
        expected = vectors.most_similar(labels[3], topn=5)
        assert [labels[id] for id, _ in found] == [label for label, _ in expected]
        close("neighbors", [cosine for _, cosine in found], [cosine for _, cosine in expected])
        a, b, c = 2, 4, 5
        found = network.run("neighbors", network.name, *(network.tokens[i] for i in (a, b, c)), "--vectors", which)[0]
        [(label, cosine)] = vectors.most_similar([labels[b], labels[c]], [labels[a]], topn=1)
        assert labels[found["id"]] == label, "analogy"
        sought, row = (vectors.get_vector(labels[i], norm=True) for i in (b, c)), vectors.get_vector(label, norm=True)
        sought = sum(sought) - vectors.get_vector(labels[a], norm=True)
        close("analogy", found["similarity"], row @ sought / numpy.linalg.norm(sought))
    numbers, metadata = (path.read_text(encoding="utf-8").split("\n") for path in network.export("projector"))
    assert numbers.pop() == metadata.pop() == "" and metadata.pop(0).split("\t") == ["token", "id", "kind"]
    read = numpy.array([line.split("\t") for line in numbers], "f4")
    assert (read == tensors["embedding.weight"]).all()
    assert [int(line.split("\t")[1]) for line in metadata] == list(range(len(network.tokens)))
    print(f"{network.name}: gensim and the projector's files have the same vectors")


def main(program):
    program = str(Path(program).resolve())
    if not torch:
        print("NOT TESTED: the PyTorch loader of README.md: there is no torch; NumPy computes the same formula")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "words.txt").write_text(WORDS * 40, encoding="utf-8")
        # Words that other programs mean something by are words like others, and no line of a file stands there twice.
        (folder / "marks.txt").write_text((WORDS + "the </s> saw an <unk> .\n") * 40, encoding="utf-8")
        marks = Network(program, folder, "marks", "marks.txt --tokens words --split 60/20/20 --context 3 --hidden 12")
        assert marks.tokens.count("</s>") == 2 and "<unk>" in marks.tokens
        check_vectors(marks)
        for name, options, contexts, line in NETWORKS:
            network = Network(program, folder, name, options)
            check_log_probabilities(network, contexts, line)
            check_vectors(network)
    print(f"{len(NETWORKS)} networks agree within {TOLERANCE}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
