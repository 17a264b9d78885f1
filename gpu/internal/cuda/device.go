//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "shim.h"
import "C"

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/nn/device"
)

// Init loads libcuda and initialises the driver, once. Everything that needs a device calls Init
// first. The error is a *LoadError if there is no driver, or an *Error, such as
// CUDA_ERROR_NO_DEVICE.
func Init() error {
	if err := driver.need(); err != nil {
		return err
	}
	return cudaError("starting the CUDA driver", C.cuInit(0))
}

// DriverVersion returns the newest CUDA version that the driver supports, such as 12040 for 12.4.
func DriverVersion() (int, error) {
	if err := driver.need(); err != nil {
		return 0, err
	}
	var version C.int
	err := cudaError("asking for the driver's version", C.cuDriverGetVersion(&version))
	return int(version), err
}

// DeviceCount returns the number of devices.
func DeviceCount() (int, error) {
	if err := Init(); err != nil {
		return 0, err
	}
	n, err := cu.NumDevices()
	return n, Check("counting devices", err)
}

// countError reports that there is no device with the given number. It is a device.ErrNoDevice.
type countError struct{ index, count int }

func (e countError) Error() string {
	switch e.count {
	case 0:
		return "the driver sees no GPU"
	case 1:
		return fmt.Sprintf("no cuda:%d: there is one GPU, cuda:0", e.index)
	}
	return fmt.Sprintf("no cuda:%d: there are %d GPUs, cuda:0 to cuda:%d", e.index, e.count, e.count-1)
}

// Is reports whether target is device.ErrNoDevice.
func (countError) Is(target error) bool { return target == device.ErrNoDevice }

// Device returns the device with the given number, counted from 0.
func Device(index int) (cu.Device, error) {
	n, err := DeviceCount()
	if err != nil {
		return cu.BadDevice, err
	}
	if index < 0 || index >= n {
		return cu.BadDevice, countError{index, n}
	}
	d, err := cu.GetDevice(index)
	return d, Check(fmt.Sprintf("opening cuda:%d", index), err)
}

// Properties describes a device.
type Properties struct {
	Name               string `json:"name"`
	UUID               string `json:"uuid"`
	PCI                string `json:"pci"`    // domain:bus:device, as nvidia-smi writes it
	Memory             int64  `json:"memory"` // total bytes
	Major              int    `json:"major"`  // compute capability, 9.0 for an H100
	Minor              int    `json:"minor"`
	Multiprocessors    int    `json:"multiprocessors"`
	ClockKHz           int    `json:"clock_khz"`
	MemoryClockKHz     int    `json:"memory_clock_khz"`
	MemoryBusBits      int    `json:"memory_bus_bits"`
	L2Cache            int    `json:"l2_cache"` // bytes
	MaxThreadsPerBlock int    `json:"max_threads_per_block"`
	SharedMemory       int    `json:"shared_memory"`        // bytes that a block gets by default
	SharedMemoryOptIn  int    `json:"shared_memory_opt_in"` // bytes that AllowShared can allow
	Mode               int    `json:"mode"`                 // 0 shared, 2 prohibited, 3 one process only
}

// DeviceProperties queries the driver about a device.
func DeviceProperties(d cu.Device) (p Properties, err error) {
	doing := fmt.Sprintf("asking about cuda:%d", int(d))
	if p.Name, err = d.Name(); err != nil {
		return p, Check(doing, err)
	}
	if p.Memory, err = d.TotalMem(); err != nil {
		return p, Check(doing, err)
	}
	id, err := d.UUID()
	if err != nil {
		return p, Check(doing, err)
	}
	p.UUID = "GPU-" + id.String()
	var domain, bus, slot int
	for _, a := range []struct {
		to        *int
		attribute cu.DeviceAttribute
	}{
		{&p.Major, cu.ComputeCapabilityMajor},
		{&p.Minor, cu.ComputeCapabilityMinor},
		{&p.Multiprocessors, cu.MultiprocessorCount},
		{&p.ClockKHz, cu.ClockRate},
		{&p.MemoryClockKHz, cu.MemoryClockRate},
		{&p.MemoryBusBits, cu.GlobalMemoryBusWidth},
		{&p.L2Cache, cu.L2CacheSize},
		{&p.MaxThreadsPerBlock, cu.MaxThreadsPerBlock},
		{&p.SharedMemory, cu.MaxSharedMemoryPerBlock},
		{&p.SharedMemoryOptIn, C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN},
		{&p.Mode, cu.ComputeMode},
		{&domain, cu.PciDomainID},
		{&bus, cu.PciBusID},
		{&slot, cu.PciDeviceID},
	} {
		if *a.to, err = d.Attribute(a.attribute); err != nil {
			return p, Check(fmt.Sprintf("%s: attribute %d", doing, int(a.attribute)), err)
		}
	}
	p.PCI = fmt.Sprintf("%08x:%02x:%02x.0", domain, bus, slot)
	return p, nil
}
