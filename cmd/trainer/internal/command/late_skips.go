package command

import (
	"sync"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/printable"
)

// lateSkips are pictures that could be read when the data was opened, or were known from the index, and can't be read
// during the training. The run goes on without them and names them, at once and in the file of skipped pictures.
type lateSkips struct {
	note   func(format string, args ...any)
	mu     sync.Mutex
	folder *report.Folder // of the results; nil before they have one
	lines  []string       // of the file
	late   int
}

// maxLateNotes is the number of pictures that are named on the terminal.
const maxLateNotes = 3

// add is data.Options.Warn.
func (s *lateSkips) add(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := printable.Text(err.Error())
	s.lines = append(s.lines, line)
	s.late++
	if s.late <= maxLateNotes {
		s.note("skipped %s", line)
	}
	if s.late == maxLateNotes {
		s.note("further ones are named in %s in the results folder only", report.SkippedFile)
	}
	if s.folder != nil {
		_ = s.folder.WriteSkipped(s.lines) // a full disk is found by the files that a run needs
	}
}

// writeTo writes the pictures that were skipped when the data was opened, and chooses the folder for later ones.
func (s *lateSkips) writeTo(folder *report.Folder, skipped []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folder, s.lines = folder, append(skipped[:len(skipped):len(skipped)], s.lines...)
	return folder.WriteSkipped(s.lines)
}
