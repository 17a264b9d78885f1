package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"trainer/nn/device"
	"trainer/nn/ranks"
	"trainer/nn/ranks/star"
)

// With -gpus the program starts the ranks itself: this process is rank 0, and each other rank is a process of this program with
// the same arguments. A pair of connected sockets per rank takes the place of a rendezvous, so that nothing listens, and no one else
// can join.

// The environment of a rank that the program has started: the GPU that it computes on, and the socket to rank 0. Package ranks has
// the variables with its number and the number of all.
const (
	gpuVariable    = "TRAINER_RANK_GPU"
	socketVariable = "TRAINER_RANK_SOCKET"
)

// gpusAll is the -gpus that takes all GPUs of the machine.
const gpusAll = "all"

// startRanks starts a rank for each GPU of -gpus but the first, which is this process's. It returns nil if there is only one.
func (p *program) startRanks(o *options, args []string) (*team, error) {
	kind, list, err := p.gpuList(&o.deviceOptions)
	if err != nil {
		return nil, err
	}
	if len(list) == 1 {
		o.device = fmt.Sprintf("%s:%d", kind.Name, list[0])
		o.given["device"] = true
		return nil, nil
	}
	if p.executable == "" {
		return nil, errors.New("-gpus: the file of this program is unknown")
	}
	c := &children{states: map[int]string{}, ended: map[int]chan struct{}{}}
	conns := []net.Conn{nil}
	for rank, gpu := range list[1:] {
		conn, err := c.start(p.executable, args, rank+1, len(list), gpu)
		if err != nil {
			c.kill()
			return nil, fmt.Errorf("starting rank %d: %w", rank+1, err)
		}
		conns = append(conns, conn)
	}
	t := p.newTeam(ranks.Environment{Launcher: ranks.OwnLauncher, Size: len(list), LocalSize: len(list)})
	t.gpu, t.children = list[0], c
	if t.Transport, err = star.New(0, len(list), conns, star.Options{Name: "started by this process", Lags: t.lags, Ended: c.why}); err != nil {
		c.kill()
		return nil, err
	}
	return t, p.greet(t)
}

// gpuList returns the kind of device and the numbers of the devices that -gpus names.
func (p *program) gpuList(o *deviceOptions) (kind device.Kind, list []int, err error) {
	name := o.device
	if name == auto {
		name = p.Devices[0].Name
	}
	if kind, _, err = p.parseDevice(name); err != nil {
		return kind, nil, err
	}
	switch {
	case kind.Connect == nil:
		return kind, nil, usageErrorf("-gpus: device %s has no GPUs; use -device %s", kind.Name, p.otherDevices(kind))
	case strings.Contains(name, ":"):
		return kind, nil, usageErrorf("-device %s names one GPU, and -gpus several: use -device %s", name, kind.Name)
	}
	n, err := kind.Count()
	if err != nil {
		return kind, nil, p.openError(name, kind, err)
	}
	if o.gpus == gpusAll {
		for i := range n {
			list = append(list, i)
		}
	} else if list, err = parseGPUs(o.gpus); err != nil {
		return kind, nil, err
	}
	if len(list) == 0 {
		return kind, nil, usageErrorf("-gpus: the driver sees no GPU (%s)", kind.Advice)
	}
	for _, i := range list {
		if i >= n {
			return kind, nil, usageErrorf("-gpus: no %s:%d: this machine has %d", kind.Name, i, n)
		}
	}
	return kind, list, nil
}

// parseGPUs reads numbers separated by commas.
func parseGPUs(text string) (list []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 16)
		if err != nil {
			return nil, usageErrorf("-gpus %s: want %s, or numbers such as 0,1", text, gpusAll)
		}
		if slices.Contains(list, int(n)) {
			return nil, usageErrorf("-gpus %s: GPU %d is there twice", text, n)
		}
		list = append(list, int(n))
	}
	return list, nil
}

// children are the ranks that this process has started.
type children struct {
	all    []*exec.Cmd
	mutex  sync.Mutex
	states map[int]string // of ranks whose process has ended: how
	ended  map[int]chan struct{}
}

// start starts a rank, and returns the connection with it.
func (c *children) start(executable string, args []string, rank, size, gpu int) (net.Conn, error) {
	own, its, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer its.Close()
	cmd := exec.Command(executable, args...)
	cmd.Stderr = os.Stderr // a rank writes there only why it has failed
	cmd.ExtraFiles = []*os.File{its}
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", ranks.RankVariable, rank), fmt.Sprintf("%s=%d", ranks.RanksVariable, size),
		fmt.Sprintf("%s=%d", gpuVariable, gpu), socketVariable+"=3")
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	c.all = append(c.all, cmd)
	ended := make(chan struct{})
	c.ended[rank] = ended
	go func() {
		_ = cmd.Wait() // the state says it
		c.mutex.Lock()
		c.states[rank] = describeEnd(cmd.ProcessState)
		c.mutex.Unlock()
		close(ended)
	}()
	return own, nil
}

// why says how the process of a rank has ended; "" if it has not within two seconds.
func (c *children) why(rank int) string {
	select {
	case <-c.ended[rank]:
		c.mutex.Lock()
		defer c.mutex.Unlock()
		return c.states[rank]
	case <-time.After(2 * time.Second):
		return ""
	}
}

// finish waits for the ranks to end by themselves, and ends those that don't.
func (c *children) finish() {
	if c == nil {
		return
	}
	patience := time.After(5 * time.Second)
	for _, ended := range c.ended {
		select {
		case <-ended:
		case <-patience:
			c.kill()
			return
		}
	}
}

func (c *children) kill() {
	for _, cmd := range c.all {
		_ = cmd.Process.Kill() // it may have ended
	}
}

// inherited returns the connection with rank 0 of a rank that the program has started.
func inherited(getenv func(string) string) (net.Conn, error) {
	fd, err := strconv.ParseUint(getenv(socketVariable), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: want the number of a file", socketVariable, getenv(socketVariable))
	}
	file := os.NewFile(uintptr(fd), "rank 0")
	if file == nil {
		return nil, fmt.Errorf("%s=%d: no such file", socketVariable, fd)
	}
	defer file.Close()
	return net.FileConn(file)
}

// The environment of a rendezvous: the token that ranks on several machines need, and what says that another process than rank 0
// listens at MASTER_PORT.
const (
	rankTokenVariable = "TRAINER_RANK_TOKEN"
	agentVariable     = "TORCHELASTIC_USE_AGENT_STORE"
)

// maxMeeting is how long the ranks wait for each other at the start.
const maxMeeting = time.Minute

// meet connects the ranks that torchrun, or whoever sets its variables, has started.
func (t *team) meet(ctx context.Context, p *program) (net []net.Conn, err error) {
	if t.env.Address == "" || t.env.Port == "" {
		return nil, usageErrorf("%s started this process as one of %d ranks, which meet at MASTER_ADDR and MASTER_PORT: set both", t.env.Launcher, t.env.Size)
	}
	port, err := strconv.ParseUint(t.env.Port, 10, 16)
	if err != nil {
		return nil, usageErrorf("the environment variable MASTER_PORT is %q, want the number of a port", t.env.Port)
	}
	if strings.EqualFold(p.getenv(agentVariable), "true") { // torchrun itself listens there
		port++
	}
	token, forget, err := t.token(p, port)
	if err != nil {
		return nil, err
	}
	defer forget()
	r := star.Rendezvous{Address: joinHostPort(t.env.Address, port), Rank: t.env.Rank, Size: t.env.Size, Token: token, Wait: maxMeeting}
	return r.Meet(ctx)
}

func joinHostPort(host string, port uint64) string {
	return net.JoinHostPort(host, strconv.FormatUint(port, 10))
}

// token returns how a rank learns the token: from the environment or, if all ranks are on this machine, from a file that only
// this user can read, which rank 0 writes. forget removes the file.
func (t *team) token(p *program, port uint64) (token func() (string, error), forget func(), err error) {
	if given := p.getenv(rankTokenVariable); given != "" {
		return func() (string, error) { return given, nil }, func() {}, nil
	}
	if t.env.LocalSize != t.env.Size {
		return nil, nil, usageErrorf("ranks on several machines need a token, so that no one else joins: set %s to the same text for all, such as that of openssl rand -hex 16", rankTokenVariable)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, nil, fmt.Errorf("the ranks' token needs a folder (or the environment variable %s): %w", rankTokenVariable, err)
	}
	dir := filepath.Join(cache, "trainer", "ranks")
	name := fmt.Sprintf("token-%d", port)
	file := filepath.Join(dir, name)
	read := func() (string, error) {
		text, err := os.ReadFile(file)
		return string(text), err
	}
	if t.env.Rank > 0 {
		return read, func() {}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	made := rand.Text()
	if err := writePrivate(file, made); err != nil {
		return nil, nil, err
	}
	return func() (string, error) { return made, nil }, func() { os.Remove(file) }, nil
}

// writePrivate replaces a file by one that only this user can read.
func writePrivate(file, text string) error {
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+"-") // readable by its owner only
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(text)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		os.Remove(temporary.Name())
	}
	return err
}
