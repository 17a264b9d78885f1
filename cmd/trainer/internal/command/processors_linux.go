package command

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// processors returns the number of processors of this machine, of which this process may use some (runtime.NumCPU).
func processors() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/online") // such as "0-3,8"
	if err != nil {
		return runtime.NumCPU()
	}
	total := 0
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			return runtime.NumCPU()
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(to); err != nil {
				return runtime.NumCPU()
			}
		}
		total += last - first + 1
	}
	return total
}
