"""The web app, `petseg app`: photos in; the pet cut out, on a background of the visitor's choice, to download.

`server` starts and ends it. `page` arranges Gradio's components, `handlers` answer them, `session` holds the models,
and `application` serves the page within limits.

Photos lie in a temporary folder for little more than an hour, and never beyond the app's end. In memory, a visitor
costs a small copy of each photo and its logits. Nothing is fetched from another server and nothing is sent to one.
"""
