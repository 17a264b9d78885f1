package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"trainer/gpu"
	"trainer/gpu/doctor"
	"trainer/nn/device"
)

// The libraries that trainer doctor examines may crash or never return. So each step, the survey and the examination of
// each GPU, runs in a separate process, which is this program again. The process reports in lines of JSON what it is
// about to do and what is known so far, so that an end without a result can be attributed.

// stepName is the command of such a process; no help lists it.
const stepName = "doctor-step"

// stepLimit is how long a step may take. Starting the driver of a machine with many GPUs takes seconds, and the first
// launch after an update of the driver compiles the kernels.
const stepLimit = time.Minute

// stepReport is a line of a step's output.
type stepReport struct {
	Doing     string            `json:"doing"` // what is about to be done; "" in the last line
	Diagnosis *doctor.Diagnosis `json:"diagnosis,omitempty"`
	GPU       *doctor.GPU       `json:"gpu,omitempty"`
	Sum       *doctor.Sum       `json:"sum,omitempty"`
}

// sumStep is the step that sums over all GPUs.
const sumStep = "sum"

// stepCommand is the command of such a process.
func stepCommand() Command {
	return Command{Name: stepName, run: runStep, Hidden: true}
}

// runStep takes a step: "survey", "examine" and the number of a GPU, or "sum".
func runStep(ctx context.Context, p *program, args []string) error {
	out := json.NewEncoder(p.stdout)
	tell := func(r stepReport) { _ = out.Encode(r) } // an error means that nobody reads it any more
	switch {
	case len(args) == 1 && args[0] == "survey":
		d := doctor.Survey(func(doing string) { tell(stepReport{Doing: doing}) })
		tell(stepReport{Diagnosis: &d})
		return nil
	case len(args) == 1 && args[0] == sumStep:
		t, err := p.joinRanks(ctx) // nil for the process that starts them
		if err != nil {
			return p.leave(t, err)
		}
		tell(stepReport{Doing: "summing over the GPUs"})
		sum, err := p.timeGPUSum(t)
		if err == nil {
			tell(stepReport{Sum: sum})
		}
		return err
	case len(args) == 2 && args[0] == "examine":
		index, err := strconv.Atoi(args[1])
		if err != nil {
			break
		}
		reference, err := p.openHost(0)
		if err != nil {
			return err
		}
		defer reference.Close()
		g := doctor.Examine(index, reference, func(doing string, sofar doctor.GPU) { tell(stepReport{Doing: doing, GPU: &sofar}) })
		tell(stepReport{GPU: &g})
		return nil
	}
	return usageErrorf("%s is internal to trainer doctor", stepName)
}

// diagnose takes the steps, each within limit. Their failures are in the diagnosis; an error is ctx's, or says that no
// step can be taken.
func (p *program) diagnose(ctx context.Context, limit time.Duration) (doctor.Diagnosis, error) {
	if !gpu.Built {
		return doctor.Survey(func(string) {}), nil
	}
	if p.executable == "" {
		return doctor.Diagnosis{}, errors.New("doctor needs to start this program again, but its file was not found")
	}
	d := doctor.Diagnosis{Built: true, Libraries: []doctor.Library{}, GPUs: []doctor.GPU{}}
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
	p.sumOverGPUs(ctx, limit, &d)
	return d, ctx.Err()
}

// sumOverGPUs adds a sum over all GPUs, if there are several that work.
func (p *program) sumOverGPUs(ctx context.Context, limit time.Duration, d *doctor.Diagnosis) {
	for _, g := range d.GPUs {
		if !g.Usable {
			return
		}
	}
	if len(d.GPUs) < 2 || d.NCCL == nil || d.NCCL.File == "" {
		return
	}
	last, failure := p.takeStep(ctx, limit, sumStep)
	switch {
	case failure != nil:
		d.Sums = append(d.Sums, doctor.Sum{Name: "NCCL", Ranks: len(d.GPUs), Reason: failure.reason})
	case last.Sum != nil:
		d.Sums = append(d.Sums, *last.Sum)
	}
}

// stepFailure is why a step has no result.
type stepFailure struct{ reason, remedy string }

// takeStep runs a step in a separate process, and returns its last report.
func (p *program) takeStep(ctx context.Context, limit time.Duration, step ...string) (last stepReport, failure *stepFailure) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.Command(p.executable, append([]string{stepName}, step...)...)
	cmd.Env = append(os.Environ(), p.stepEnv...)
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

// readReports sends the reports among the lines of r, and closes the channel. Libraries may print other lines.
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

// abandon kills a process, and waits a moment for its end: a process that is stuck in the driver doesn't end.
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

// crashed returns the failure of a step whose process ended before its last report.
func crashed(doing, stderr, state string) *stepFailure {
	reason := fmt.Sprintf("%s crashed: %s", doing, lastWords(stderr, state))
	return &stepFailure{reason, "the versions of the driver and the libraries may be incompatible"}
}

// signalWords matches what Go's runtime prints about the signal that ends a program.
var signalWords = regexp.MustCompile(`SIG[A-Z]+: [a-z /]*[a-z]`)

// lastWords returns why a process ended: the signal, or the first line that it printed, or the exit status.
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

// beginning keeps the first bytes that are written to it: a crash begins with its cause.
type beginning struct{ bytes.Buffer }

// Write keeps as much as there is room for.
func (t *beginning) Write(b []byte) (int, error) {
	const maxBytes = 16 << 10
	if room := maxBytes - t.Len(); room > 0 {
		t.Buffer.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}
