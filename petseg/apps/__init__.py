"""The programs in which a user uploads a photo: the notebook's panel and the web app, and what both share."""
