package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"

	"trainer/gpu/doctor"
)

// doctorOptions are the flags of trainer doctor.
type doctorOptions struct {
	asJSON bool
	python string
}

// askPath is the -python that asks the interpreter of PATH.
const askPath = "python3"

// doctorFlags declares the flags of trainer doctor.
func doctorFlags(o *doctorOptions) *flag.FlagSet {
	f := flag.NewFlagSet("doctor", flag.ContinueOnError)
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object instead of text")
	f.StringVar(&o.python, "python", askPath, "`file` Python interpreter to run if cuBLAS or cuDNN is found nowhere else; \"\" runs none")
	return f
}

var doctorUsage = usage{
	about: `trainer doctor checks whether a GPU can be used, and if not, says how to fix it.`,
	lines: []string{"trainer doctor [flags]"},
	notes: `It looks for the NVIDIA driver, cuBLAS and cuDNN, and prints the file of each, or every
place that was searched and why nothing was loaded from there. The environment variable
TRAINER_CUDA_PATH names folders to search first, separated by colons. Each GPU then
computes a convolution in fp32 and fp16, a matrix product and a softmax; the report
gives the largest difference from the CPU, relative to the largest value, and its
limit. If cuBLAS or cuDNN is in none of the usual places, the first python3 of PATH is
run and asked for its folders of packages; the report names it. -python FILE asks
another, -python "" runs none; the environment variable TRAINER_PYTHON (a file, or
none) does the same for all commands. All this runs in separate processes, so that a library that crashes, or doesn't
return within a minute, becomes a line of the report.

It also says which NCCL library connects several GPUs, and which MPI library connects
several processes (mpirun trainer ...; TRAINER_MPI names the file of another). If there
are several GPUs, it times a sum over them, and mpirun -n 2 trainer doctor one over
these processes: 16 MiB, as gradients are summed.

Exit status: 0 a GPU can be used; 1 no GPU can be used; 2 invalid arguments.`,
}

// doctorCommand checks whether a GPU can be used.
func doctorCommand() Command {
	return Command{Name: "doctor", Doc: "check whether a GPU can be used, and if not, how to fix it", run: runDoctor}
}

func runDoctor(ctx context.Context, p *program, args []string) error {
	var o doctorOptions
	f := doctorFlags(&o)
	rest, done, err := p.parseAnywhere(f, doctorUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) > 0 {
		return usageErrorf("doctor takes no arguments, got %q (trainer doctor -h lists its flags)", rest[0])
	}
	switch o.python {
	case askPath: // or what the environment says
	case "":
		p.stepEnv = []string{doctor.PythonVariable + "=" + doctor.NoPython}
	default:
		p.stepEnv = []string{doctor.PythonVariable + "=" + o.python}
	}
	t, err := p.joinRanks(ctx) // mpirun trainer doctor
	if err != nil {
		return p.leave(t, err)
	}
	return p.leave(t, p.doctor(ctx, t, o))
}

// doctor makes and prints the diagnosis. Ranks other than 0 only take part in a sum.
func (p *program) doctor(ctx context.Context, t *team, o doctorOptions) error {
	var sum *doctor.Sum
	if t != nil {
		var err error
		if sum, err = p.timeHostSum(t); err != nil || t.Rank() > 0 {
			return err
		}
	}
	d, err := p.diagnose(ctx, stepLimit)
	if err != nil {
		return err
	}
	if d.MPI = p.findMPI(); sum != nil {
		d.Sums = append(d.Sums, *sum)
	}
	if err := writeDiagnosis(p.stdout, d, o.asJSON); err != nil {
		return err
	}
	if !d.Usable {
		return errNoGPU
	}
	return nil
}

// errNoGPU ends trainer doctor, whose output says why: report adds nothing to it.
var errNoGPU = errors.New("no GPU can be used")

func writeDiagnosis(w io.Writer, d doctor.Diagnosis, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(d)
	}
	var s textSheet
	if d.Built {
		s.library(d.Driver.Library)
		for _, l := range d.Libraries {
			s.library(l)
		}
		for _, g := range d.GPUs {
			s.gpu(g)
		}
	}
	if d.NCCL != nil {
		s.library(*d.NCCL)
	}
	if d.MPI != nil {
		s.library(*d.MPI)
	}
	for _, sum := range d.Sums {
		s.entry("sum", sumText(sum))
	}
	if d.Python != "" {
		s.entry("python", d.Python+" was run to find folders of packages (-python \"\" turns this off)")
	}
	s.entry("verdict", d.Verdict)
	_, err := io.WriteString(w, s.String())
	return err
}

// The widths of trainer doctor's lines, and of the titles at their left.
const (
	doctorWidth = 80
	titleWidth  = 10
)

// textSheet is a text in lines of at most doctorWidth letters, with titles at the left. Longer words, such as the names
// of files, stay whole, so that they can be copied.
type textSheet struct{ strings.Builder }

// entry adds a title and a text.
func (s *textSheet) entry(title, text string) { s.fold(title, 0, text) }

// more adds a text without a title, indented by some letters more.
func (s *textSheet) more(deeper int, text string) { s.fold("", deeper, text) }

func (s *textSheet) fold(title string, deeper int, text string) {
	margin := titleWidth + deeper
	for i, line := range wrap(text, doctorWidth-margin) {
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(s, "%-*s%s\n", margin, title, line)
	}
}

// library describes a library: its file, or the places that were searched.
func (s *textSheet) library(l doctor.Library) {
	var is []string
	if l.Version != "" {
		is = append(is, l.Version)
	}
	if l.CUDA != "" {
		is = append(is, "for CUDA "+l.CUDA)
	}
	if l.Reason != "" {
		is = append(is, l.Reason)
	}
	if len(is) == 0 {
		is = []string{"(unknown version)"}
	}
	s.entry(l.Name, strings.Join(is, ", "))
	if l.File != "" {
		s.more(0, l.File)
		return
	}
	for _, a := range l.Tried {
		s.more(2, attemptText(a))
	}
}

func attemptText(a doctor.Attempt) string {
	if strings.HasPrefix(a.Reason, a.File+":") { // the loader's message begins with the file
		return a.Place + ": " + a.Reason
	}
	return fmt.Sprintf("%s: %s: %s", a.Place, a.File, a.Reason)
}

// gpu describes a GPU.
func (s *textSheet) gpu(g doctor.GPU) {
	name := g.Name
	if name == "" {
		name = "(unknown name)"
	}
	s.entry(fmt.Sprintf("cuda:%d", g.Index), name)
	var facts []string
	if g.ComputeCapability != "" {
		facts = append(facts, "compute capability "+g.ComputeCapability)
	}
	if g.Memory > 0 {
		facts = append(facts, humanize.IBytes(uint64(g.Memory)))
	}
	if g.Free > 0 {
		facts = append(facts, humanize.IBytes(uint64(g.Free))+" free")
	}
	if len(facts) > 0 {
		s.more(0, strings.Join(facts, ", "))
	}
	if len(g.Precisions) > 0 {
		s.more(0, fmt.Sprintf("supports %s; auto is the recipe's, else %s", strings.Join(g.Precisions, ", "), g.Auto))
	}
	if g.Kernels != "" {
		s.more(0, "own kernels: "+g.Kernels)
	}
	for _, t := range g.Tests {
		s.more(0, testText(t))
	}
	switch {
	case g.Usable:
		s.more(0, fmt.Sprintf("usable; the self-test took %.1f s", g.Seconds))
	case g.Remedy != "":
		s.more(0, "not usable: "+g.Reason+"; "+g.Remedy)
	default:
		s.more(0, "not usable: "+g.Reason)
	}
}

func testText(t doctor.Selftest) string {
	is := "ok"
	if !t.OK {
		is = "wrong"
	}
	return fmt.Sprintf("%s: %s, error %.1e (limit %.0e)", t.Name, is, t.Error, t.Bound)
}
