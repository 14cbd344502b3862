"""A real MRML scene (package slicer-core) for tests, and a worker without a process."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
import vtk
import worker_road
from block_spine import BlockSpine
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

LOGICS = {
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
}


def make_scene():
    """Return a scene with Slicer's logics, which must outlive it: they are kept on it."""
    app = slicer.vtkSlicerApplicationLogic()
    scene = slicer.vtkMRMLScene()
    app.SetMRMLScene(scene)
    app.GetColorLogic().SetMRMLScene(scene)
    app.GetColorLogic().AddDefaultColorNodes()
    logics = []
    for name, class_name in LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(app)
        logic.SetMRMLScene(scene)
        app.SetModuleLogic(name, logic)
        logics.append(logic)
    scene.logics = (app, logics)
    return scene


@pytest.fixture
def scene(monkeypatch):
    """An empty scene, which is also what `slicer.util` takes for the application's."""
    made = make_scene()
    monkeypatch.setattr(slicer, "mrmlScene", made, raising=False)
    yield made
    made.Clear(True)


@pytest.fixture(autouse=True)
def observers_do_not_fail(monkeypatch):
    """Turn exceptions in VTK observers, which are swallowed but reach `sys.excepthook`, into failures."""
    swallowed = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: swallowed.append(error))
    yield swallowed
    assert not swallowed, f"an observer raised {swallowed!r}"


def add_volume(scene, array, kji_to_lps, name="blocks", node_class="vtkMRMLScalarVolumeNode"):
    """Return a volume node with an array (k, j, i) whose voxels lie where a matrix, to LPS, says."""
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    node = scene.AddNewNodeByClass(node_class, name)
    node.SetAndObserveImageData(image)
    ras = np.diag([-1.0, -1, 1, 1]) @ kji_to_lps[:, [2, 1, 0, 3]]
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(ras.ravel())
    node.SetIJKToRASMatrix(matrix)
    node.CreateDefaultDisplayNodes()
    return node


def add_blocks(scene, name="blocks", axes=(0, 1, 2), flips=(False, False, False), **blocks):
    """Return a volume node with a scan of blocks, its axes in any order and direction."""
    volume = BlockSpine(**blocks).volume()
    array = volume.array.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    matrix = volume.matrix.copy()
    for axis, flip in zip(axes, flips):
        if flip:
            matrix[:3, 3] += matrix[:3, axis] * (volume.array.shape[axis] - 1)
            matrix[:3, axis] *= -1
    return add_volume(scene, array, matrix[:, [*axes, 3]], name)


_SHELF = {}


class DirectWorker:
    """A `ports.Worker` that works in this process when it is asked for news; fast, and not to be killed."""

    def __init__(self, road="worker_road"):
        from SpinalTapLib.worker.server import Worker

        self.requests = []
        self._waiting = []
        self._out = io.StringIO()
        self._worker = Worker(road, self._out)
        self.is_held = False

    def send(self, request):
        self.requests.append(dict(request))
        self._waiting.append(json.loads(json.dumps(request)))

    def receive(self):
        if self.is_held:
            return []
        for request in self._waiting:
            self._work(request)
        self._waiting.clear()
        lines = self._out.getvalue().splitlines()
        self._out.seek(0)
        self._out.truncate()
        return [json.loads(line) for line in lines]

    def _work(self, request):
        """Work; a scan that was segmented before is taken from a shelf, because most tests begin with the same one."""
        volume = Path(request["folder"]) / "volume.json"
        key = request["command"] == "segment" and json.dumps([volume.read_text(), request["seed"], request["settings"]])
        if key and key in _SHELF:
            files, self._worker.evidence = _SHELF[key]
            for name, content in files.items():
                (volume.parent / name.replace("ANSWER", request["answer"])).write_bytes(content)
            self._worker.folder = volume.parent
            self._out.write(json.dumps({"id": request["id"], "event": "done", "answer": request["answer"]}) + "\n")
            return
        with worker_road.detector_in_place():  # until it is done, and no longer: other tests use the pipeline as it is
            self._worker.work(request)
        answer = volume.parent / f"{request.get('answer')}.json"
        if key and answer.is_file():
            files = {f.name: f.read_bytes() for f in volume.parent.iterdir() if not f.name.startswith("volume")}
            files["ANSWER.json"] = files.pop(answer.name)
            _SHELF[key] = files, self._worker.evidence

    def kill(self):
        self._waiting.clear()

    def log_tail(self, lines=20):
        return "the worker's log"

    def close(self):
        self.kill()


class Listener:
    """A face that writes down what it is told."""

    def __init__(self):
        self.changes = []
        self.questions = []
        self.answer = None

    def session_changed(self, change):
        self.changes.append(change)

    def ask_about_edits(self, names):
        self.questions.append(tuple(names))
        return self.answer


@pytest.fixture
def make_session(scene):
    """Return a function that gives a session on the scene, closed at the end."""
    from SpinalTapLib.scene import SlicerScene
    from SpinalTapLib.session.session import Session

    made = []

    def make(worker=None):
        session = Session(SlicerScene(scene), worker or DirectWorker())
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def segmented(scene, make_session):
    """Return a session that has segmented six blocks, S1 to L1, and its volume node."""
    volume = add_blocks(scene)
    session = make_session()
    session.set_volume(volume.GetID())
    session.segment()
    session.wait(60)
    assert session.failure is None, session.failure
    return session, volume


def nodes_of(scene, class_name):
    """Return all nodes of exactly that class."""
    nodes = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
    return [node for node in nodes if node.GetClassName() == class_name]


def segment_names(node):
    """Return the names of a segmentation's segments, in order."""
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]


def segment_places(node, name):
    """Return where a segment's voxels are, shape (n, 3), RAS, mm, in the node's own space."""
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
    labelmap = slicer.vtkOrientedImageData()
    assert node.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    index = np.argwhere(voxels)[:, ::-1] + np.array(labelmap.GetExtent())[::2]
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    array = np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
    return index @ array[:3, :3].T + array[:3, 3]


def edit(node, name, carve=slice(0, 4)):
    """Cut a piece off a segment, as Slicer's segment editor does."""
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
    labelmap = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    rows = np.flatnonzero(voxels.any((0, 2)))[carve]
    voxels[:, rows] = 0
    assert slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap, node, segment_id)


def save_bundle(scene, path: Path):
    """Save a scene as .mrb."""
    assert scene.WriteToMRB(str(path))


def load_bundle(scene, path: Path, folder: Path):
    """Load an .mrb into a scene."""
    import zipfile

    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(folder)
    scene.SetURL(str(next(folder.rglob("*.mrml"))))
    assert scene.Import(None)


def transform_above(scene, node, matrix, name="registration"):
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    vtk_matrix = vtk.vtkMatrix4x4()
    vtk_matrix.DeepCopy(np.asarray(matrix, float).ravel())
    parent.SetMatrixTransformToParent(vtk_matrix)
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def turned(degrees, shift=(0, 0, 0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, c, -s], [0, s, c]]
    matrix[:3, 3] = shift
    return matrix


def only(scene, class_name):
    (node,) = nodes_of(scene, class_name)
    return node


def world_of_point(markups, i):
    position = [0.0] * 3
    markups.GetNthControlPointPositionWorld(i, position)
    return np.array(position)


def signed_volume(surface):
    from SpinalTapLib.bodies.triangle_mesh import mesh_arrays

    points, triangles = mesh_arrays(surface)
    a, b, c = points[triangles].transpose(1, 0, 2)
    return float((a * np.cross(b, c)).sum() / 6)


def only_first_list(scene):
    return nodes_of(scene, "vtkMRMLMarkupsFiducialNode")[0]


def voxels(node, name):
    return len(segment_places(node, name))
