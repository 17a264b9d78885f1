// Command worker measures this project's training steps and convolutions for the comparison
// with other frameworks, which bench/peers/run.py drives. It is not meant to be run by hand.
//
// It prints one line of JSON when the network is built and warm,
//
//	{"ready":true,"name":"trainer","mode":"float32","version":...,"device":...}
//
// or {"ready":false,"error":...}, and then answers each line of its input with one line:
//
//	measure SECONDS        {"images_per_second":...,"steps":...}
//	peak SECONDS           {"flops_per_second":...}, the multiply-add peak of its threads; only on the CPU
//	measure SECONDS        {"images_per_second":...,"read":...}, with -pictures instead of -row
//	conv SECONDS {SHAPE}   {"flops_per_second":...,"calls":...}, with -conv instead of -row
//	memory                 {"peak_rss_bytes":...}
//	quit                   ends the worker, as does the end of the input
//
// The answer to a command that fails is {"error":...}.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/nn/device"
)

// version is the commit of this build, which the driver sets by the linker's -X.
var version = "unknown"

// options are the command line.
type options struct {
	row, networks     string
	device, precision string
	threads           int
	conv, info, dry   bool
	pictures          string
	size              int
	settings
}

func main() {
	var o options
	flag.StringVar(&o.row, "row", "", "`name` of the network to train: a file in -networks without .toml")
	flag.StringVar(&o.networks, "networks", "bench/peers/networks", "`folder` of the networks; empty for the built-in recipes")
	flag.StringVar(&o.device, "device", "cpu", "`kind` of device: cpu or cuda")
	flag.StringVar(&o.precision, "precision", "auto", "precision on a GPU: auto, fp32, tf32, fp16 or bf16")
	flag.BoolVar(&o.autotune, "autotune", false, "time cuDNN's convolution algorithms first")
	flag.BoolVar(&o.dry, "dry", false, "accept an emulated device, whose speeds mean nothing")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads")
	flag.BoolVar(&o.conv, "conv", false, "measure convolutions instead of a network")
	flag.StringVar(&o.pictures, "pictures", "", "`folder` of pictures to read, with one subfolder per class, instead of a network")
	flag.IntVar(&o.size, "size", 64, "height and width to which -pictures are cropped and resized")
	flag.BoolVar(&o.info, "info", false, "describe the machine and this program, and exit")
	flag.IntVar(&o.batch, "batch", 0, "images per step; 0 for the network's")
	flag.Float64Var(&o.lr, "lr", 0, "learning rate; 0 for the network's")
	flag.StringVar(&o.check, "check", "", "write the initial weights to this `file` and report the losses of the first steps, without dropout and augmentation")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// run opens the device and serves the commands.
func run(o options) error {
	if o.threads < 1 {
		return fmt.Errorf("-threads is %d, want 1 or more", o.threads)
	}
	runtime.GOMAXPROCS(o.threads)
	s := server{in: os.Stdin, out: os.Stdout, commands: map[string]command{"memory": memory}}
	d, err := o.open()
	if err != nil {
		s.fail(err)
		return err
	}
	defer d.Close()
	if c, ok := d.(*cpu.Device); ok {
		s.commands["peak"] = peak(c)
	}
	switch {
	case o.info:
		return s.write(describe(d))
	case o.pictures != "":
		l, err := newLoading(o.pictures, o.size)
		if err != nil {
			s.fail(err)
			return err
		}
		s.commands["measure"] = l.measure
		return s.serve(ready{info: describe(d)})
	case o.conv == (o.row != ""):
		return fmt.Errorf("want one of -row NAME, -conv and -pictures FOLDER")
	case o.conv:
		s.commands["conv"] = conv(d)
		return s.serve(ready{info: describe(d)})
	}
	t, err := newTraining(d, o.networks, o.row, o.settings)
	if err != nil {
		s.fail(err)
		return err
	}
	defer t.Close()
	s.commands["measure"] = t.measure
	return s.serve(t.ready(describe(d)))
}

// open opens the device that the options ask for.
func (o options) open() (device.Device, error) {
	switch o.device {
	case "cpu":
		return cpu.New(cpu.WithThreads(o.threads), cpu.WithInstructions(os.Getenv("TRAINER_CPU")))
	case "cuda":
	default:
		return nil, fmt.Errorf("-device is %q, want cpu or cuda", o.device)
	}
	p, err := device.ParsePrecision(o.precision)
	if err != nil {
		return nil, fmt.Errorf("-precision: %w", err)
	}
	opts := []gpu.Option{gpu.WithPrecision(p)}
	if o.autotune {
		opts = append(opts, gpu.WithAutotune())
	}
	d, err := gpu.New(0, opts...)
	if err == nil && d.Info().Emulated && !o.dry {
		d.Close()
		return nil, fmt.Errorf("%s is an emulation, whose speed means nothing (-dry accepts it)", d.Name())
	}
	return d, err
}

// info describes the machine and this program.
type info struct {
	Name    string `json:"name"`
	Mode    string `json:"mode"`
	Version string `json:"version"`
	Device  string `json:"device"` // the processor and the threads, or the GPU
	Kind    string `json:"kind"`   // the instruction set of the kernels, or the GPU's precision
	Threads int    `json:"threads"`
}

func describe(d device.Device) info {
	i := d.Info()
	mode := "float32"
	if _, ok := d.(*cpu.Device); !ok {
		mode = device.PrecisionOf(d).String()
	}
	return info{
		Name: "trainer", Mode: mode, Version: version + ", " + runtime.Version(),
		Device: i.Description, Kind: i.Features[0], Threads: i.Threads,
	}
}
