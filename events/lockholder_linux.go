package events

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockHolder names the process that holds a file's lock, as "process 4711,
// hookproxy"; empty where the kernel does not say: the process is in another
// container, or on another machine.
//
// The kernel knows, and forgets with the process. A file in which each process
// wrote its name would have to be believed.
func lockHolder(path string) string {
	var file syscall.Stat_t
	if syscall.Stat(path, &file) != nil {
		return ""
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	id := fmt.Sprintf("%02x:%02x:%d", unix.Major(file.Dev), unix.Minor(file.Dev), file.Ino)
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK  ADVISORY  WRITE 4711 fe:00:131077 0 EOF
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != id {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may have gone, or be hidden
			return strings.TrimSuffix(fmt.Sprintf("process %d, %s", pid, bytes.TrimSpace(name)), ", ")
		}
	}
	return ""
}
