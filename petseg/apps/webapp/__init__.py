"""The web app, `petseg app`: photos in; the pet cut out, on a background of the visitor's choice, to download.

`start` begins and `server` serves; `page` and `options` arrange the fields in Gradio, with `uploads` for files and
`events` for how events run. `handlers` answers them and `downloads` writes files, also for the `endpoint`, which
programs use; `settings` reads the fields, `html` draws, `session` holds the models and segments.

Photos lie in a temporary folder, for little more than an hour and never beyond the app's end. In memory a visitor costs
a small copy of each photo and its logits. Nothing is fetched from another server and nothing is sent there.
"""
