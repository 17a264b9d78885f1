package memlimit

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func available() (int64, bool) {
	least := min(physical(), addresses())
	return max(0, least), least < math.MaxInt64
}

// room is what is left of the memory when that of the heap counts in place of what the process has written of it.
func room(heap int64) (int64, bool) {
	least := physical()
	if least < math.MaxInt64 {
		resident, _ := field("/proc/self/status", "VmRSS:")
		least += resident<<10 - heap
	}
	least = min(least, addresses())
	return least, least < math.MaxInt64
}

// physical returns what the machine and the control groups leave.
func physical() int64 {
	least := int64(math.MaxInt64)
	if free, ok := field("/proc/meminfo", "MemAvailable:"); ok {
		least = min(least, free<<10)
	}
	if text, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		least = min(least, groups("/sys/fs/cgroup", text))
	}
	return least
}

// addresses returns what the process's own limits leave, which count memory from its allocation on.
func addresses() int64 {
	used := func(key string) int64 {
		n, _ := field("/proc/self/status", key)
		return n << 10
	}
	return min(left(unix.RLIMIT_AS, used("VmSize:")), left(unix.RLIMIT_DATA, used("VmData:")))
}

// left returns what a limit of the process leaves.
func left(limit int, used int64) int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(limit, &l); err != nil || l.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(l.Cur) - used
}

// groups returns what the control groups in a /proc/self/cgroup leave. A line is "number:controllers:path"; version 2
// has no controllers. A group's limit holds for the groups in it, so that all parents count. In a container the path may
// be the host's, and the limits at root are the container's.
func groups(root string, text []byte) int64 {
	least := int64(math.MaxInt64)
	for line := range bytes.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) < 3 {
			continue
		}
		top, limit, usage := root, "memory.max", "memory.current"
		switch {
		case parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			top, limit, usage = filepath.Join(root, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"
		default:
			continue
		}
		for at := path.Join("/", parts[2]); ; at = path.Dir(at) {
			least = min(least, group(filepath.Join(top, at), limit, usage))
			if at == "/" {
				break
			}
		}
	}
	return least
}

// group returns what one control group leaves. Pages of files that were not used lately are given up for others.
func group(folder, limit, usage string) int64 {
	most, ok := number(filepath.Join(folder, limit))
	if !ok { // no such group, or "max"
		return math.MaxInt64
	}
	used, _ := number(filepath.Join(folder, usage))
	files, ok := field(filepath.Join(folder, "memory.stat"), "total_inactive_file") // version 1
	if !ok {
		files, _ = field(filepath.Join(folder, "memory.stat"), "inactive_file")
	}
	return most - used + min(files, used)
}

func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// field returns the number after a key at the beginning of a line.
func field(file, key string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 1 && words[0] == key {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
