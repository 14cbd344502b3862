"""Steps of the module's self-test on a session and a scan; pytest runs the same on Slicer's MRML libraries."""

from __future__ import annotations

import tempfile

import slicer


class Scenario:
    """Mix-in for unittest.TestCase: segment a scan, count nodes, move the S1 box, change levels, write STL."""

    runs = 2  # the second must update the nodes of the first

    def useSession(self, session, volume):
        self.segment(session, volume)
        self.moveBoxToL5AndBack(session)
        self.exportSurfaces(session)

    def segment(self, session, volume):
        session.set_volume(volume.GetID())
        for _run in range(self.runs):
            session.segment()
            session.wait()
            self.assertIsNone(session.failure)
            levels = [row.level for row in session.rows]
            self.assertEqual(levels[-3:], ["L4", "L5", "S1"])
            segmentation = self.only("vtkMRMLSegmentationNode").GetSegmentation()
            names = [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]
            self.assertEqual([name for name in names if not name.startswith("Arch of")], levels[::-1])
            self.assertEqual(self.count("vtkMRMLMarkupsFiducialNode"), len(levels))
            self.assertEqual(self.only("vtkMRMLTableNode").GetNumberOfRows(), len(levels))

    def moveBoxToL5AndBack(self, session):
        before = [row.level for row in session.rows]
        left, posterior, superior = session.result.spine["L5"].centroid_lps_mm
        box = self.only("vtkMRMLMarkupsROINode")
        box.SetCenterWorld([-left, -posterior, superior])  # RAS
        box.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
        session.wait()
        self.assertNotEqual([row.level for row in session.rows], before)
        moved = session.result.spine["S1"].centroid_lps_mm - (left, posterior, superior)
        self.assertLess(abs(moved).max(), 0.1)  # the former L5 is now S1
        session.undo()
        session.wait()
        self.assertEqual([row.level for row in session.rows], before)

    def exportSurfaces(self, session):
        with tempfile.TemporaryDirectory() as folder:
            files = session.export(folder)
            bodies = [file for file in files if "Arch_of" not in file.stem]
            self.assertEqual(len(bodies), len(session.rows))
            self.assertTrue(all(file.suffix == ".stl" and file.stat().st_size > 1000 for file in files))

    def count(self, className):
        return slicer.mrmlScene.GetNumberOfNodesByClass(className)

    def only(self, className):
        self.assertEqual(self.count(className), 1, className)
        return slicer.mrmlScene.GetFirstNodeByClass(className)
