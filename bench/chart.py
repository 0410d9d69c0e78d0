def draw(about, path):
    pass
