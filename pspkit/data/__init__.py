"""Pictures, films and label maps, folders of them, the tasks that are made from them, and rendered heads."""
