// Command worker computes what bench/conformance compares with other programs: networks, losses, update rules, schedules
// and the device's plans, on the CPU device. It is not meant to be run by hand.
//
// Requests come on standard input, one after the other, and are answered in order on standard output. Both have the same
// form: a line of JSON, then the elements of the arrays that the line announces, little-endian and without anything
// between them.
//
//	{"op":"network","args":{...},"arrays":[{"name":"x","type":"float32","shape":[2,5,5,3]}]}
//	{"result":{...},"arrays":[{"name":"y","type":"float32","shape":[2,3,3,4]}]}
//	{"error":"layer conv1: ..."}
//
// Layers, losses, rules and schedules are described by recipes, so that a kind that recipes can name needs no code here.
// Images are [n, h, w, c]. The operations are:
//
//	kinds         what recipes can name, with the keys of each kind
//	network       outputs, gradients and losses of a network (network.go)
//	train         a few steps of a whole training (train.go)
//	update        an update rule with given gradients (update.go)
//	schedule      the factors of the learning rate (schedule.go)
//	matmul, softmax, map, reduce, gather, fused-update    one plan of the device (plan.go)
//
// The environment variable TRAINER_CPU picks the instruction set, as in the program trainer.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"trainer/cpu"
)

// version is the commit of this build, which the driver sets by the linker's -X.
var version = "unknown"

func main() {
	threads := flag.Int("threads", runtime.GOMAXPROCS(0), "threads")
	flag.Parse()
	if err := run(*threads); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// run opens the device and answers requests until the end of the input.
func run(threads int) error {
	dev, err := cpu.New(cpu.WithThreads(threads), cpu.WithInstructions(os.Getenv("TRAINER_CPU")))
	if err != nil {
		return err
	}
	defer dev.Close()
	return serve(dev, os.Stdin, os.Stdout)
}
