package command

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"trainer/cmd/trainer/internal/answer"
	"trainer/nn/model"
	"trainer/nn/printable"
)

// The output of trainer predict: a table, JSON or CSV.

// sendLines sends the lines of r that are not empty.
func sendLines(ctx context.Context, r io.Reader, queue chan<- string) {
	defer close(queue)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		select {
		case queue <- line:
		case <-ctx.Done():
			return
		}
	}
}

// answerWriter writes answers.
type answerWriter interface {
	write(a model.FileAnswer, top []model.Prediction) error
	flush() error
}

func newAnswerWriter(w io.Writer, o *predictOptions, known []string) answerWriter {
	switch {
	case o.json:
		return &jsonAnswers{w}
	case o.csv:
		return &csvAnswers{out: csv.NewWriter(w), top: o.top}
	}
	const widest = 48
	width := len("picture")
	for _, path := range known {
		width = max(width, min(widest, utf8.RuneCountInString(path)))
	}
	if known == nil {
		width = widest
	}
	return &tableAnswers{out: w, width: width, single: len(known) == 1}
}

// tableAnswers writes a line per picture; a single picture gets a line per class.
type tableAnswers struct {
	out    io.Writer
	width  int // of the paths
	single bool
}

func (t *tableAnswers) write(a model.FileAnswer, top []model.Prediction) error {
	if a.Err != nil {
		return nil // named on standard error
	}
	var b strings.Builder
	if t.single {
		for _, p := range top {
			fmt.Fprintf(&b, "%6.2f%%  %s\n", 100*p.Probability, printable.Text(p.Name))
		}
	} else {
		fmt.Fprintf(&b, "%-*s", t.width, printable.Text(a.Path))
		for _, p := range top {
			fmt.Fprintf(&b, "  %s %.1f%%", printable.Text(p.Name), 100*p.Probability)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

func (t *tableAnswers) flush() error { return nil }

// jsonAnswers writes an object per line.
type jsonAnswers struct{ out io.Writer }

func (j *jsonAnswers) write(a model.FileAnswer, top []model.Prediction) error {
	if a.Err != nil {
		return answer.Failed(a.Path, a.Err).Write(j.out)
	}
	return answer.Of(a.Path, top, len(top)).Write(j.out)
}

func (j *jsonAnswers) flush() error { return nil }

// csvAnswers writes a row per picture.
type csvAnswers struct {
	out   *csv.Writer
	top   int
	begun bool
}

func (c *csvAnswers) write(a model.FileAnswer, top []model.Prediction) error {
	if !c.begun {
		c.begun = true
		header := []string{"path", "error", "class", "probability"}
		for k := 2; k <= c.top; k++ {
			header = append(header, fmt.Sprintf("class%d", k), fmt.Sprintf("probability%d", k))
		}
		if err := c.out.Write(header); err != nil {
			return err
		}
	}
	row := []string{a.Path, ""}
	if a.Err != nil {
		row[1] = a.Err.Error()
	}
	for k := range c.top {
		name, probability := "", ""
		if k < len(top) {
			name, probability = top[k].Name, strconv.FormatFloat(top[k].Probability, 'g', 6, 64)
		}
		row = append(row, name, probability)
	}
	return c.out.Write(row)
}

func (c *csvAnswers) flush() error {
	c.out.Flush()
	return c.out.Error()
}
