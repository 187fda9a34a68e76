// How the search ranks what it finds: a lesson before the reference and the records.
// Sphinx expects the other fields, which have its own values.
var Scorer = {
  score: ([docname, , , , score]) => (/^\d\d_/.test(docname) ? score + 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
