"""The Qt side of the SpinalTap module: widgets that show a session and pass on clicks, without logic of their own."""
