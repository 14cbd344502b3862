"""SpinalTap: find, name and model every vertebra in a spine MRI. The 3D Slicer module.

The logic is in ``SpinalTapLib.session``, the widgets are in ``SpinalTapPanel``.
"""

import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Once installed, SpinalTapLib is next to this file, on Slicer's path; in the source tree it is one folder up.
_HERE = Path(__file__).resolve().parent
if not (_HERE / "SpinalTapLib").is_dir() and str(_HERE.parent) not in sys.path:
    sys.path.append(str(_HERE.parent))

from SpinalTapPanel.choices import Device, Method, Structures  # noqa: E402 - after the path is set
from SpinalTapPanel.scenario import Scenario  # noqa: E402

from SpinalTapLib.options import DEFAULT_STRUCTURES, MAX_STEPS  # noqa: E402 - after the path is set


class SpinalTap(ScriptedLoadableModule):
    """The module's title, category, help and acknowledgement."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SpinalTap")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["SpinalTap maintainers (SlicerSpinalTap)"]
        parent.helpText = _(
            "Finds, names and models every vertebra in a spine MRI. Choose the scan, click Segment spine, and check "
            "that the S1 box lies on S1; drag it if not. "
            '<a href="https://github.com/SlicerSpinalTap/SlicerSpinalTap#readme">How to use it</a>. '
            "Nothing leaves your computer. Not a medical device."
        )
        parent.acknowledgementText = _(
            "The methods are those of R. Windsor, A. Jamaludin, T. Kadir and A. Zisserman: The Spinal Tap: Learning "
            "Full Spine Segmentations without Training Examples (poster), and of R. Windsor and A. Jamaludin: The "
            "Ladder Algorithm: Finding Repetitive Structures in Medical Images by Induction (ISBI 2020). Code, weights "
            "and training data are our own."
        )
        from SpinalTapLib.resources import resource_path

        parent.icon = qt.QIcon(str(resource_path("Icons", "SpinalTap.svg")))
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted():
    """Register terminology codes and sample scans; reads two small files, without network access."""
    from SpinalTapPanel import samples

    from SpinalTapLib.resources import resource_path

    codes = resource_path("Terminology", "SpinalTap.term.json")
    slicer.modules.terminologies.logic().LoadTerminologyFromFile(str(codes))
    samples.register()


@parameterNodeWrapper
class SpinalTapParameterNode:
    """The user's choices, saved with the scene.

    inputVolume - The scan. device, steps (0: as many as are in view), structures, method - The advanced part.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    device: Device = Device.AUTO
    steps: Annotated[int, WithinRange(0, MAX_STEPS)] = 0
    structures: Structures = Structures(DEFAULT_STRUCTURES)
    method: Method = Method.FUSED


class SpinalTapWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Loads the panel, and connects parameter node and session."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.session = self.panel = None
        self._parameterNode = self._parameterNodeGuiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from SpinalTapPanel.panel import Panel
        from SpinalTapPanel.practice import PracticeButton
        from SpinalTapPanel.setup import SetupSection

        from SpinalTapLib.resources import resource_path

        uiWidget = slicer.util.loadUI(str(resource_path("UI", "SpinalTap.ui")))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SpinalTapLogic()
        self.session = self.logic.makeSession()
        self.setupSection = SetupSection(self.ui, lambda: self.panel and self.panel.refresh())
        self.setupSection.check()
        self.panel = Panel(self.ui, self.session, self.setupSection)
        self.practice = PracticeButton(self.ui.sampleButton, self.panel.say, self.onPracticeScan)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Stop everything when the application ends or the module is reloaded."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel is not None:
            self.practice.close()
            self.panel.close()
            self.session.close()
            self.panel = self.session = None

    def enter(self):
        self.initializeParameterNode()
        self.setupSection.check()

    def exit(self):
        """Do nothing: a run continues in the background, and the S1 box works in other modules too."""

    def onReload(self):
        """Remove our Python modules, so that the reload imports them again."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("SpinalTapLib", "SpinalTapPanel")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Observe the scene's parameter node, and choose the first scan if none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first is not None:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, node):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self._parameterNode = node
        if node is not None:
            self._parameterNodeGuiTag = node.connectGui(self.ui)
            self.addObserver(node.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
            self.onParameters()

    def onParameters(self, caller=None, event=None):
        """Pass the choices to the session."""
        self.session.settings = self.logic.settings(self._parameterNode)
        volume = self._parameterNode.inputVolume
        volumeId = volume.GetID() if volume is not None else None
        if volumeId != self.session.volume:
            self.session.set_volume(volumeId)

    def onPracticeScan(self, volume):
        """Choose the practice scan, unless the user has chosen another scan in the meantime."""
        if self._parameterNode is not None and not self._parameterNode.inputVolume:
            self._parameterNode.inputVolume = volume


class SpinalTapLogic(ScriptedLoadableModuleLogic):
    """Use SpinalTap without the panel.

    >>> rows = SpinalTapLogic().process(slicer.util.getNode("t2_lumbar"))   # doctest: +SKIP
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self):
        return SpinalTapParameterNode(super().getParameterNode())

    @staticmethod
    def settings(parameters):
        """Return the advanced options of a parameter node as the session's settings."""
        from SpinalTapLib.options import Options

        return Options(
            device=parameters.device.value,
            steps=parameters.steps or None,
            structures=parameters.structures.value,
            method=parameters.method.value,
        )

    @staticmethod
    def makeSession():
        """Return a session on the application's scene, with its own worker process."""
        from SpinalTapLib.scene import SlicerScene, worker_python
        from SpinalTapLib.session.session import Session
        from SpinalTapLib.worker.link import WorkerLink

        return Session(SlicerScene(), WorkerLink(worker_python()))

    def process(self, volumeNode, settings=None, timeoutSeconds=600.0):
        """Segment a volume and wait; the nodes are in the scene afterwards.

        Returns the table's rows (see ``spine.summary.Row``), top vertebra first. Raises RuntimeError with one
        sentence if the scan cannot be segmented. An open panel shows the new result.
        """
        session = self.makeSession()
        try:
            if settings is not None:
                session.settings = settings
            session.set_volume(volumeNode.GetID())
            session.segment()
            session.wait(timeoutSeconds)
            if session.failure is not None:
                raise RuntimeError(session.failure.sentence)
            rows = session.rows
        except ValueError as error:
            raise RuntimeError(str(error)) from error
        finally:
            session.close()
        widget = getattr(slicer.modules, "SpinalTapWidget", None)
        if widget is not None and widget.session is not None and widget.session.volume == volumeNode.GetID():
            widget.session.take_up()
        return rows


class SpinalTapTest(ScriptedLoadableModuleTest, Scenario):
    """Run the whole workflow once: draw a practice scan, segment it, move the S1 box, change levels, write STL."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_PracticeScanToSurfaces()

    def test_PracticeScanToSurfaces(self):
        from SpinalTapPanel.practice import make_practice_scan

        from SpinalTapLib.installation import check_needs

        missing = [need.sentence for need in check_needs() if not need.met]
        if missing:
            self.delayDisplay(_("Skipped: {what}").format(what=" ".join(missing)))
            return
        self.delayDisplay(_("Drawing a practice scan"))
        volume = make_practice_scan()
        session = SpinalTapLogic.makeSession()
        try:
            self.useSession(session, volume)
        finally:
            session.close()
        self.delayDisplay(_("Test passed"))
