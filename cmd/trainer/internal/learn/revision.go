package learn

// revisions tells apart the weights that a session has had: a map of features belongs to one revision, and an undo brings its
// revision back.
type revisions struct {
	present int
	last    int   // the largest number so far
	before  []int // those that undoing brings back, the last one last
}

// maxRevisions is the number of revisions that are remembered, more than steps can be undone.
const maxRevisions = 64

// step begins a revision that hasn't been before.
func (r *revisions) step() {
	r.before = append(r.before, r.present)
	r.before = r.before[max(0, len(r.before)-maxRevisions):]
	r.begin()
}

// undo brings the revision before the last step back.
func (r *revisions) undo() {
	if len(r.before) == 0 { // they were forgotten
		r.begin()
		return
	}
	r.present = r.before[len(r.before)-1]
	r.before = r.before[:len(r.before)-1]
}

// forget is for a step that failed: whether it has changed the weights isn't known.
func (r *revisions) forget() {
	r.before = nil
	r.begin()
}

// begin begins a revision.
func (r *revisions) begin() {
	r.last++
	r.present = r.last
}
