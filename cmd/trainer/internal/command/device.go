package command

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"trainer/nn/device"
)

// deviceOptions are the flags that decide which device computes, and how.
type deviceOptions struct {
	device    string // auto, or the name of a kind, with a number if the kind has numbers
	gpus      string // GPUs of several ranks: all, or numbers; "" for a single process, or ranks that a launcher starts
	threads   int    // of a device that computes in threads; 0 for its default
	precision device.Precision
	// recipePrecision takes the place of an Auto precision; Auto if the recipe names none.
	recipePrecision device.Precision

	deterministic, autotune bool
	graph                   bool            // record steps, if the device can
	given                   map[string]bool // flags that were given
}

// auto is the -device that takes the first kind of the list of which a device can be opened.
const auto = "auto"

// openDevice returns the device that was asked for.
func (p *program) openDevice(o deviceOptions) (device.Device, error) {
	if o.device == auto {
		return p.openAny(o)
	}
	kind, index, err := p.parseDevice(o.device)
	if err != nil {
		return nil, err
	}
	if refused := o.refusedBy(kind); refused != "" {
		return nil, usageErrorf("%s; use -device %s", refused, p.otherDevices(kind))
	}
	dev, err := p.openKind(kind, index, o)
	if err != nil && kind.Advice != "" {
		return nil, p.openError(o.device, kind, err)
	}
	return dev, err
}

// parseDevice returns the kind that a -device names, and the number, which is 0 if it has none.
func (p *program) parseDevice(name string) (kind device.Kind, index int, err error) {
	_, number, numbered := strings.Cut(name, ":")
	for _, kind = range p.Devices {
		if kind.Name != device.KindName(name) {
			continue
		}
		if !numbered {
			return kind, 0, nil
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || !kind.Numbered {
			return kind, 0, usageErrorf("-device %s: want %s", name, p.deviceNames())
		}
		return kind, int(n), nil
	}
	return kind, 0, usageErrorf("-device: unknown device %q%s", name, suggest(name, append([]string{auto}, p.kindNames()...)))
}

// deviceFlag declares -device.
func (p *program) deviceFlag(f *flag.FlagSet, to *string) {
	text := "`name` device: "
	for _, k := range p.Devices {
		text += k.Name
		if k.Numbered {
			text += " or " + k.Name + ":N"
		}
		text += " (" + k.Doc + "), "
	}
	f.StringVar(to, "device", auto, text+"or auto, the first of these that can be used")
}

// gpusFlag declares -gpus.
func gpusFlag(f *flag.FlagSet, to *string, text string) {
	f.Func("gpus", text, func(s string) error {
		*to = s
		if s == gpusAll {
			return nil
		}
		_, err := parseGPUs(s)
		return err
	})
}

// checkDevice returns an error unless -device names a device of this program.
func (p *program) checkDevice(name string) error {
	if name == auto {
		return nil
	}
	_, _, err := p.parseDevice(name)
	return err
}

// kindNames lists the kinds.
func (p *program) kindNames() (names []string) {
	for _, k := range p.Devices {
		names = append(names, k.Name)
	}
	return names
}

// deviceNames lists what -device takes, as a sentence has it.
func (p *program) deviceNames() string {
	names := []string{auto}
	for _, k := range p.Devices {
		names = append(names, k.Name)
		if k.Numbered {
			names = append(names, k.Name+":N")
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// otherDevices lists the kinds except one, as a sentence has them.
func (p *program) otherDevices(kind device.Kind) string {
	names := slices.DeleteFunc(p.kindNames(), func(name string) bool { return name == kind.Name })
	return strings.Join(names, " or ")
}

// maxIndex is how many devices of a kind auto tries.
const maxIndex = 16

// openAny returns the first device of the first kind of the list that can be opened.
func (p *program) openAny(o deviceOptions) (device.Device, error) {
	last := len(p.Devices) - 1
	var reasons []string // why the kinds before the last gave no device
	for _, kind := range p.Devices[:last] {
		reason := o.refusedBy(kind)
		if reason == "" {
			dev, err := p.openFirst(kind, o)
			if err == nil {
				return dev, nil
			}
			reason = device.Reason(err)
		}
		reasons = append(reasons, kind.Name+": "+reason)
	}
	if refused := o.refusedBy(p.Devices[last]); refused != "" {
		return nil, usageErrorf("%s, and -device auto found no other device (%s)", refused, strings.Join(reasons, "; "))
	}
	return p.openFirst(p.Devices[last], o)
}

// openFirst returns the first device of a kind that can be opened, or the first error.
func (p *program) openFirst(kind device.Kind, o deviceOptions) (device.Device, error) {
	var first error
	for index := range maxIndex {
		dev, err := p.openKind(kind, index, o)
		if err == nil {
			return dev, nil
		}
		if first == nil {
			first = err
		}
		if !kind.Numbered || errors.Is(err, device.ErrNotBuilt) || errors.Is(err, device.ErrNoDevice) {
			break // there is no device with a higher number either
		}
	}
	return nil, first
}

// openKind opens a device in the precision that was asked for, or in the recipe's if the kind has it. If this device
// can't do that one, it computes as it would without a recipe, and a line says so.
func (p *program) openKind(kind device.Kind, index int, o deviceOptions) (device.Device, error) {
	if o.precision != device.Auto || !kind.Has(o.recipePrecision) {
		return p.open(kind, index, o, o.precision)
	}
	dev, err := p.open(kind, index, o, o.recipePrecision)
	if !errors.Is(err, device.ErrNotSupported) {
		return dev, err
	}
	reason := device.Reason(err)
	if dev, err = p.open(kind, index, o, device.Auto); err != nil {
		return nil, err
	}
	p.note("%s computes in %v, not in the recipe's %v: %s", dev.Name(), device.PrecisionOf(dev), o.recipePrecision, reason)
	return dev, nil
}

// open opens a device in a precision.
func (p *program) open(kind device.Kind, index int, o deviceOptions, precision device.Precision) (device.Device, error) {
	instructions := p.getenv(instructionsVariable)
	dev, err := kind.Open(index, device.Options{
		Threads: o.threads, Instructions: instructions, Precision: precision, Deterministic: o.deterministic, Autotune: o.autotune,
	})
	if err != nil && instructions != "" && !isA[*device.Error](err) {
		return nil, usageErrorf("%s=%s: %v", instructionsVariable, instructions, err)
	}
	return dev, err
}

// threadsFlag declares -threads. A number above that of the processors becomes that, with a line: more threads would only
// wait for one another.
func (p *program) threadsFlag(f *flag.FlagSet, to *int) {
	f.Func("threads", "`number` number of CPU threads (default: one per processor)", func(s string) error {
		if err := whole(to)(s); err != nil {
			return err
		}
		if processors := runtime.NumCPU(); *to > processors {
			p.note("-threads %d: this machine has %d processors, so %d threads will be used", *to, processors, processors)
			*to = processors
		}
		return nil
	})
}

// instructionsVariable is the environment variable that picks an instruction set.
const instructionsVariable = "TRAINER_CPU"

// host returns the kind that every machine has, which is the last of the list.
func (p *program) host() device.Kind { return p.Devices[len(p.Devices)-1] }

// openHost opens the device that every machine has. threads is 0 for its default.
func (p *program) openHost(threads int) (device.Device, error) {
	return p.openKind(p.host(), 0, deviceOptions{threads: threads})
}

// kindOf returns the kind of an open device.
func (p *program) kindOf(dev device.Device) device.Kind {
	for _, k := range p.Devices {
		if k.Name == device.KindName(dev.Name()) {
			return k
		}
	}
	return device.Kind{Remedy: func(error) string { return "" }}
}

// refusedBy returns why a kind of device can't do what a flag asks for, or "". A flag that asks for what the kind does
// anyway is not refused.
func (o deviceOptions) refusedBy(kind device.Kind) string {
	if o.given["precision"] && o.precision != device.Auto && !kind.Has(o.precision) {
		return fmt.Sprintf("-precision %v: device %s computes in %s only", o.precision, kind.Name, precisionList(kind.Precisions))
	}
	for _, flag := range []struct {
		name  string
		asked bool
	}{{"autotune", o.autotune}, {"cuda-graph", o.graph}, {"deterministic", o.deterministic}} {
		if reason := kind.Refused[flag.name]; reason != "" && o.given[flag.name] && flag.asked {
			return fmt.Sprintf("-%s: %s", flag.name, reason)
		}
	}
	return ""
}

// onePrecision reports whether a device has no other precision than the one in which it computes.
func (p *program) onePrecision(dev device.Device) bool { return len(p.kindOf(dev).Precisions) == 1 }

// precisionList joins names of precisions.
func precisionList(all []device.Precision) string {
	var names []string
	for _, p := range all {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// advice says what to do if a kind's devices can't be opened.
func (p *program) advice(kind device.Kind) string {
	if kind.Name == p.host().Name {
		return kind.Advice
	}
	return kind.Advice + ", or pass -device " + p.host().Name
}

// openError says why the device that was asked for can't be used, and what to do.
type openError struct {
	device         string // as -device had it
	err            error
	remedy, advice string
}

// openError returns the error of opening a device of a kind.
func (p *program) openError(name string, kind device.Kind, err error) *openError {
	return &openError{device: name, err: err, remedy: kind.Remedy(err), advice: p.advice(kind)}
}

func (e *openError) Error() string {
	text := fmt.Sprintf("-device %s: %s", e.device, device.Reason(e.err))
	if errors.Is(e.err, device.ErrNotBuilt) { // its text has the remedy
		return text
	}
	if e.remedy != "" {
		text += "; " + e.remedy
	}
	return text + " (" + e.advice + ")"
}

// Unwrap returns the device's error.
func (e *openError) Unwrap() error { return e.err }
