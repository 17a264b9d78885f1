package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"trainer/gpu"
	"trainer/nn/device"
)

// What trainer doctor looks at are other people's libraries, which may crash or never return. So each step runs in a
// process of its own, which is this program again: the survey, and the examination of each GPU. A process tells
// in lines of JSON what it is about to do and what is known, so that an end without a result can be laid
// to something.

// stepName is the subcommand of such a process; no help lists it.
const stepName = "doctor-step"

// stepLimit is how long a step may take. Starting the driver of a machine with many GPUs takes seconds, and
// the first launch after a new driver compiles the kernels.
const stepLimit = time.Minute

// stepReport is a line of a step's output.
type stepReport struct {
	Doing     string         `json:"doing"` // what is about to be done; "" in the last line
	Diagnosis *gpu.Diagnosis `json:"diagnosis,omitempty"`
	GPU       *gpu.GPU       `json:"gpu,omitempty"`
}

// stepCommand is the command of such a process.
func stepCommand() Command {
	return Command{Name: stepName, run: runStep, Hidden: true}
}

// runStep takes a step: "survey", or "examine" and the number of a GPU.
func runStep(_ context.Context, p *program, args []string) error {
	out := json.NewEncoder(p.stdout)
	tell := func(r stepReport) { _ = out.Encode(r) } // nobody reads it any more: the step is of no use
	switch {
	case len(args) == 1 && args[0] == "survey":
		d := gpu.Survey(func(doing string) { tell(stepReport{Doing: doing}) })
		tell(stepReport{Diagnosis: &d})
		return nil
	case len(args) == 2 && args[0] == "examine":
		index, err := strconv.Atoi(args[1])
		if err != nil {
			break
		}
		reference, err := p.openCPU(0)
		if err != nil {
			return err
		}
		defer reference.Close()
		g := gpu.Examine(index, reference, func(doing string, sofar gpu.GPU) { tell(stepReport{Doing: doing, GPU: &sofar}) })
		tell(stepReport{GPU: &g})
		return nil
	}
	return usageErrorf("%s is for trainer doctor, which starts it", stepName)
}

// diagnose takes the steps, each within limit. What becomes of them is in the diagnosis; an error is ctx's, or says that
// no step can be taken.
func (p *program) diagnose(ctx context.Context, limit time.Duration) (gpu.Diagnosis, error) {
	if !gpu.Built {
		return gpu.Survey(func(string) {}), nil
	}
	if p.executable == "" {
		return gpu.Diagnosis{}, errors.New("doctor starts this program again, and can't find its file")
	}
	d := gpu.Diagnosis{Built: true, Libraries: []gpu.Library{}, GPUs: []gpu.GPU{}}
	last, failure := p.takeStep(ctx, limit, "survey")
	switch {
	case failure != nil:
		d.Driver.Name, d.Driver.Reason, d.Driver.Remedy = "driver", failure.reason, failure.remedy
	case last.Diagnosis != nil:
		d = *last.Diagnosis
	}
	for i := range d.GPUs {
		g := &d.GPUs[i]
		last, failure := p.takeStep(ctx, limit, "examine", strconv.Itoa(g.Index))
		if last.GPU != nil {
			*g = *last.GPU
		}
		if failure != nil {
			g.Usable, g.Reason, g.Remedy = false, failure.reason, failure.remedy
		}
	}
	d.Conclude()
	return d, ctx.Err()
}

// stepFailure is why a step has no result.
type stepFailure struct{ reason, remedy string }

// takeStep runs a step in a process of its own, and returns its last report.
func (p *program) takeStep(ctx context.Context, limit time.Duration, step ...string) (last stepReport, failure *stepFailure) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.Command(p.executable, append([]string{stepName}, step...)...)
	var stderr beginning
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return last, &stepFailure{reason: fmt.Sprintf("starting %s again: %v", p.executable, err)}
	}
	last.Doing = "starting"
	reports, ended := make(chan stepReport), make(chan error, 1)
	go func() {
		readReports(stdout, reports)
		ended <- cmd.Wait()
	}()
	for {
		select {
		case r, more := <-reports:
			if more {
				last = r
				continue
			}
			reports = nil
		case <-ended:
			if last.Doing == "" {
				return last, nil
			}
			return last, crashed(last.Doing, stderr.String(), cmd.ProcessState.String())
		case <-ctx.Done():
			abandon(cmd, reports, ended)
			return last, &stepFailure{fmt.Sprintf("%s took longer than %v", last.Doing, limit), gpu.Remedy(device.ErrLost)}
		}
	}
}

// readReports sends the reports among the lines of r, and closes the channel. Libraries may print lines of
// their own.
func readReports(r io.Reader, to chan<- stepReport) {
	defer close(to)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		var report stepReport
		if bytes.HasPrefix(line, []byte(`{"doing":`)) && json.Unmarshal(line, &report) == nil {
			to <- report
		}
		if err != nil {
			return
		}
	}
}

// abandon kills a process, and waits a moment for its end: one that is stuck in the driver has none.
func abandon(cmd *exec.Cmd, reports <-chan stepReport, ended <-chan error) {
	_ = cmd.Process.Kill() // it may have ended by itself
	patience := time.After(2 * time.Second)
	for {
		select {
		case _, more := <-reports:
			if !more {
				reports = nil
			}
		case <-ended:
			return
		case <-patience:
			return
		}
	}
}

// crashed says that a step ended its process.
func crashed(doing, stderr, state string) *stepFailure {
	reason := fmt.Sprintf("%s crashed: %s", doing, lastWords(stderr, state))
	return &stepFailure{reason, "the driver and the libraries may not fit each other"}
}

// signalWords is how Go's runtime names the signal that ends a program.
var signalWords = regexp.MustCompile(`SIG[A-Z]+: [a-z /]*[a-z]`)

// lastWords returns what a process said of its end: the signal, or else the first line; or how the
// system saw it end.
func lastWords(stderr, state string) string {
	if signal := signalWords.FindString(stderr); signal != "" {
		return signal
	}
	first, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	if first = strings.TrimPrefix(strings.TrimSpace(first), "trainer: "); first == "" {
		return state
	}
	const long = 200
	letters := []rune(first)
	return string(letters[:min(len(letters), long)]) + " (" + state + ")"
}

// beginning keeps the first bytes that are written to it. A crash says first what it is.
type beginning struct{ bytes.Buffer }

// Write keeps what there is room for.
func (t *beginning) Write(b []byte) (int, error) {
	const most = 16 << 10
	if room := most - t.Len(); room > 0 {
		t.Buffer.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}
