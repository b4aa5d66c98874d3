def test_x(deployed_lab):
    assert deployed_lab.on(deployed_lab.eu, "true") == ""
