"""The Qt half of the SpinalTap module: widgets that show a session and pass clicks on. It decides nothing."""
