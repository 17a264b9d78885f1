package tensorboard

import (
	"bufio"
	"bytes"
	"fmt"
	"image/png"
	"os"
	"time"

	"trainer/nn/folder"
)

// Writer writes one event file. Its methods may be called from one goroutine. After an error they do nothing; Flush and
// Close return the first error.
type Writer struct {
	file   *os.File
	out    *bufio.Writer
	path   string
	limits []float64 // of histograms
	now    func() time.Time
	record []byte
	err    error
}

// Create creates an event file in a folder, which is made if it is missing. A training that is resumed gets another file in
// the same folder: TensorBoard joins them.
func Create(dir string) (*Writer, error) {
	in, err := folder.Make(dir)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	defer in.Close()
	return CreateIn(in)
}

// CreateIn is Create for an open folder.
func CreateIn(in *folder.Folder) (*Writer, error) {
	// TensorBoard looks for "tfevents" in the name and reads the files of a folder in the order of their names.
	name := fmt.Sprintf("events.out.tfevents.%010d.trainer", time.Now().Unix())
	for n := 1; in.Has(name); n++ {
		name = fmt.Sprintf("events.out.tfevents.%010d.trainer.%d", time.Now().Unix(), n)
	}
	file, err := in.Update(name)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	w := &Writer{file: file, out: bufio.NewWriter(file), path: in.File(name), limits: bucketLimits(), now: time.Now}
	var version message
	version.double(1, w.seconds())
	version.text(3, "brain.Event:2")
	w.write(version)
	return w, w.Flush()
}

// Path returns the file's path.
func (w *Writer) Path() string { return w.path }

// Begin says that events follow a step: of what earlier files have, TensorBoard shows only what came before.
func (w *Writer) Begin(step int) {
	const start = 1
	var status message
	status.number(1, start)
	e := w.event(step)
	e.bytes(7, status)
	w.write(e)
}

// Scalar writes a number.
func (w *Writer) Scalar(tag string, step int, value float64) {
	w.summary(step, valueOf(tag, func(v *message) { v.float(2, float32(value)) }))
}

// Histogram writes the distribution of values. NaN and infinities are left out.
func (w *Writer) Histogram(tag string, step int, values []float32) {
	h := histogramOf(values, w.limits)
	w.summary(step, valueOf(tag, func(v *message) { v.bytes(5, h.encode()) }))
}

// Image writes a picture, a PNG file.
func (w *Writer) Image(tag string, step int, file []byte) {
	config, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		w.fail(fmt.Errorf("tensorboard: picture %s: %w", tag, err))
		return
	}
	const rgba = 4
	var m message
	m.number(1, int64(config.Height))
	m.number(2, int64(config.Width))
	m.number(3, rgba)
	m.bytes(4, file)
	w.summary(step, valueOf(tag, func(v *message) { v.bytes(4, m) }))
}

// summary writes an event with a Summary of one value.
func (w *Writer) summary(step int, value message) {
	var s message
	s.bytes(1, value)
	e := w.event(step)
	e.bytes(5, s)
	w.write(e)
}

// event returns the beginning of an Event.
func (w *Writer) event(step int) (m message) {
	m.double(1, w.seconds())
	m.number(2, int64(step))
	return m
}

func (w *Writer) seconds() float64 { return float64(w.now().UnixNano()) / 1e9 }

// write writes an event.
func (w *Writer) write(event message) {
	if w.err != nil {
		return
	}
	w.record = appendRecord(w.record[:0], event)
	_, err := w.out.Write(w.record)
	w.fail(err)
}

// fail keeps the first error.
func (w *Writer) fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("writing %s: %w", w.path, err)
	}
}

// Flush writes what is kept back, so that TensorBoard sees it.
func (w *Writer) Flush() error {
	if w.err == nil {
		w.fail(w.out.Flush())
	}
	return w.err
}

// Close flushes and closes the file.
func (w *Writer) Close() error {
	_ = w.Flush() // which keeps its error
	w.fail(w.file.Close())
	return w.err
}
