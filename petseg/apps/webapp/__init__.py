"""The web app, `petseg app`: photos in; overlay, mask, confidence and cut-out to look at and to download.

`desk` segments and keeps, `look` draws HTML, `page` arranges it in Gradio, `server` serves the page. Photos lie in a
folder of the app's own, for little more than an hour and never beyond the app's end. In memory a visitor costs a small
copy of each photo and its logits. Nothing is fetched from elsewhere and nothing sent there.
"""
