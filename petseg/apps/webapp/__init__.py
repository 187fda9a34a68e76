"""The web app, `petseg app`: photos in; overlay, mask, confidence map and cut-out to look at and to download.

`session` holds the models and segments, `handlers` answers the page's events, `html` draws what they show, `page`
arranges it in Gradio, `server` serves it. Photos lie in a temporary folder, for little more than an hour and never
beyond the app's end. In memory a visitor costs a small copy of each photo and its logits. Nothing is fetched from
another server and nothing is sent there.
"""
