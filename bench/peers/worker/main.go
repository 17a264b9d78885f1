// Command worker measures this project's training steps and convolutions for the comparison
// with other frameworks, which bench/peers/run.py drives. It is not meant to be run by hand.
//
// It prints one line of JSON when the network is built and warm,
//
//	{"ready":true,"name":"trainer","mode":"float32","version":...,"device":...}
//
// or {"ready":false,"error":...}, and then answers each line of its input with one:
//
//	measure SECONDS        {"images_per_second":...,"steps":...}
//	peak SECONDS           {"flops_per_second":...}, the multiply-add peak of its threads
//	conv SECONDS {SHAPE}   {"flops_per_second":...,"calls":...}, with -conv instead of -row
//	memory                 {"peak_rss_bytes":...}
//	quit                   ends it, as does the end of the input
//
// A command that fails is answered by {"error":...}.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"trainer/cpu"
)

// version is the commit that was built, which the driver sets by the linker's -X.
var version = "unknown"

// options are the command line.
type options struct {
	row, networks string
	threads       int
	conv, info    bool
	settings
}

func main() {
	var o options
	flag.StringVar(&o.row, "row", "", "network to train, the name of a file in -networks without .toml")
	flag.StringVar(&o.networks, "networks", "bench/peers/networks", "folder of the networks")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads")
	flag.BoolVar(&o.conv, "conv", false, "measure convolutions instead of a network")
	flag.BoolVar(&o.info, "info", false, "print what the machine and this program are, and end")
	flag.IntVar(&o.batch, "batch", 0, "images a step; 0: the network's own")
	flag.Float64Var(&o.lr, "lr", 0, "learning rate; 0: the network's own")
	flag.StringVar(&o.check, "check", "", "write the initial weights to this file and tell the losses of the first steps, without dropout")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// run opens the device and serves what the options ask for.
func run(o options) error {
	if o.threads < 1 {
		return fmt.Errorf("-threads is %d, want at least 1", o.threads)
	}
	runtime.GOMAXPROCS(o.threads)
	d, err := cpu.New(cpu.WithThreads(o.threads), cpu.WithInstructions(os.Getenv("TRAINER_CPU")))
	if err != nil {
		return err
	}
	defer d.Close()
	s := server{in: os.Stdin, out: os.Stdout, commands: map[string]command{"memory": memory, "peak": peak(d)}}
	switch {
	case o.info:
		return s.write(describe(d))
	case o.conv == (o.row != ""):
		return fmt.Errorf("want -row NAME or -conv, and not both")
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

// info says what the machine and this program are.
type info struct {
	Name    string `json:"name"`
	Mode    string `json:"mode"`
	Version string `json:"version"`
	Device  string `json:"device"` // the processor and the threads
	Kind    string `json:"kind"`   // the instruction set of the kernels
	Threads int    `json:"threads"`
}

func describe(d *cpu.Device) info {
	i := d.Info()
	return info{
		Name: "trainer", Mode: "float32", Version: version + ", " + runtime.Version(),
		Device: i.Description, Kind: i.Features[0], Threads: i.Threads,
	}
}
