package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/nn/device"
)

// openDevice returns the device that was asked for. "auto" is the GPU if there is one.
func (p *program) openDevice(name string, threads int) (device.Device, error) {
	kind, number, numbered := strings.Cut(name, ":")
	index := 0
	if numbered {
		var err error
		if index, err = strconv.Atoi(number); err != nil || index < 0 || kind != "cuda" {
			return nil, usageErrorf("-device %s: want auto, cpu, cuda or cuda:N", name)
		}
	}
	if kind == "cpu" {
		return p.openCPU(threads)
	}
	dev, err := gpu.New(index)
	if err == nil {
		return dev, nil
	}
	if kind == "auto" && (errors.Is(err, device.ErrNotBuilt) || errors.Is(err, device.ErrNoDevice)) {
		return p.openCPU(threads)
	}
	return nil, fmt.Errorf("-device %s: %w", name, err)
}

func (p *program) openCPU(threads int) (device.Device, error) {
	opts := []cpu.Option{cpu.WithInstructions(p.getenv("TRAINER_CPU"))}
	if threads > 0 {
		opts = append(opts, cpu.WithThreads(threads))
	}
	dev, err := cpu.New(opts...)
	if err != nil && p.getenv("TRAINER_CPU") != "" {
		return nil, usageErrorf("TRAINER_CPU=%s: %v", p.getenv("TRAINER_CPU"), err)
	}
	return dev, err
}
