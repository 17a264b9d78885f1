// Command trainer trains convolutional networks on images.
//
//	trainer                          trains MNIST on the best device available
//	trainer -data cifar10            trains CIFAR-10
//	trainer -data DIR                trains on a folder with one subfolder of images per class
//	trainer recipe NAME > my.toml    prints a built-in recipe, to be changed
//	trainer -h                       lists everything else
package main

import (
	"trainer/cmd/trainer/internal/command"
	"trainer/cpu"
	"trainer/gpu"
	"trainer/nn/device"
	"trainer/nn/ranks/mpi"
	"trainer/nn/recipe"
)

// version is set by the linker: see the Makefile.
var version string

func main() {
	mpi.Exit(command.Main(command.Config{
		Version:  version,
		Devices:  []device.Kind{gpu.Kind(), cpu.Kind()},
		Commands: command.BuiltIn(),
		Kinds:    recipe.BuiltIn(),
	}))
}
