"""The programs in which a pet owner uploads a photo: the notebook's panel and the web app."""
