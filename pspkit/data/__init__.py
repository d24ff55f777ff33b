"""Pictures, films, label maps, folders of them, the tasks made from them, and rendered heads."""
