package command

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"trainer/cmd/trainer/internal/serve"
)

// serveCommand answers requests of programs and browsers.
func serveCommand() Command {
	return Command{Name: "serve", Args: "MODEL...", Doc: "show networks and train in the browser, answer pictures over HTTP", run: runServe}
}

// serveOptions are the flags of trainer serve.
type serveOptions struct {
	inferenceOptions
	listen, token string
	hosts         []string
	open          bool
	runs          string   // folder of the runs that the page makes and lists
	folders       []string // pictures that the page can train on
}

// defaultListen is an address that only programs on this machine can reach.
const defaultListen = "127.0.0.1:8080"

// tokenVariable is the environment variable with the token, for those who don't want it in the list of processes.
const tokenVariable = "TRAINER_TOKEN"

// minToken is the number of characters of a token that can't be guessed by trying.
const minToken = 16

func (p *program) serveFlags(o *serveOptions) *flag.FlagSet {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.StringVar(&o.listen, "listen", defaultListen, "`host:port` address to listen on; a host that other machines can reach needs a token; port 0 takes a free one")
	f.StringVar(&o.token, "token", "", "`text` what requests must know, 16 characters or more (default: the variable TRAINER_TOKEN, or else none on this machine and a random one for other machines)")
	f.Func("host", "`name` name of this server, as in a proxy's requests, besides localhost; may be repeated", func(s string) error {
		if s == "" || strings.ContainsAny(s, "/:@ ") {
			return fmt.Errorf("want a name such as digits.example.org")
		}
		o.hosts = append(o.hosts, s)
		return nil
	})
	f.BoolVar(&o.open, "open", false, "open the page in the system's browser")
	f.StringVar(&o.runs, "runs", "runs", "`folder` folder of the runs that the page makes, lists, renames and deletes")
	f.Func("data", "`path` folder of pictures, or another path as trainer -data takes it, that the page can train on besides the named data sets; may be repeated", func(s string) error {
		if _, err := os.Stat(s); err != nil {
			return err
		}
		o.folders = append(o.folders, s)
		return nil
	})
	p.inferenceFlags(f, &o.inferenceOptions)
	return f
}

var serveUsage = usage{
	about: "trainer serve shows networks at work in the browser, trains there, and answers pictures over HTTP.",
	lines: []string{
		"trainer serve [flags]                the untrained networks of the recipes mnist and mnist-basic",
		"trainer serve [flags] MODEL...       trained networks: a model.safetensors, or the folder of a run",
		"trainer serve [flags] RECIPE...      untrained ones: the name of a built-in recipe, or a .toml file",
	},
	notes: `The page at the address that is printed draws the network with its values for a picture, and says where
each of them comes from, forward and backward. POST /predict takes a picture and answers as trainer predict
-json does, with the first trained network or the one that ?model=NAME names. GET /healthz says whether the
server works, and GET /metrics has its figures for Prometheus.

The part Train of the page edits recipes, trains on the named data sets and on those of -data, steers the
training and compares the runs in the folder of -runs. One training runs at a time. Ctrl-C or SIGTERM ends
the server after the answers that it has begun and a checkpoint of the training; on a terminal, Ctrl-C asks
first during a training. docs/serve.md has more.

Examples:
  trainer serve -open runs/2026-01-31-mnist-mnist
  curl --data-binary @digit.png http://127.0.0.1:8080/predict

Exit status: 0 stopped by a signal; 1 the device failed, or the address is in use; 2 invalid arguments,
model or recipe.`,
}

func runServe(ctx context.Context, p *program, args []string) error {
	var o serveOptions
	f := p.serveFlags(&o)
	rest, done, err := p.parseAnywhere(f, serveUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) == 0 {
		rest = []string{"mnist", "mnist-basic"}
	}
	if err := p.checkServeToken(&o); err != nil {
		return err
	}
	dev, err := p.openDevice(o.deviceOptions)
	if err != nil {
		return err
	}
	defer dev.Close()
	shown, err := p.openHost(o.threads)
	if err != nil {
		return err
	}
	defer shown.Close()
	all, err := p.openServed(rest, dev, shown, &o)
	if err != nil {
		return err
	}
	if err := all.addExample(shown); err != nil {
		return err
	}
	listener, err := listen("-listen", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	if !serve.IsLoopback(listener.Addr()) && o.token == "" {
		o.token = rand.Text()
	}
	address := serveURL(listener.Addr().(*net.TCPAddr), &o)
	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	shop := p.newWorkshop(ending, &o)
	server := serve.New(serve.Config{
		Models: all.models, Networks: all.networks, Workshop: shop, OpenRun: shop.openRun(shown, &o), Token: o.token, Hosts: o.hosts, Limits: serve.DefaultLimits(),
		Address: listener.Addr(), Log: p.note,
	})
	if err := p.announce(p.stdout, listener, address, o.open); err != nil {
		return err
	}
	go func() {
		(&asker{program: p, training: shop.training, more: moreSignals}).wait(ctx)
		end()
	}()
	err = server.Serve(ending, listener)
	shop.wait()
	return err
}

// checkServeToken takes the token from the environment if no flag gives it, and refuses one that can be guessed.
func (p *program) checkServeToken(o *serveOptions) error {
	name := "-token"
	if o.token == "" {
		o.token, name = p.getenv(tokenVariable), tokenVariable
	}
	if o.token == "" {
		return nil
	}
	outside := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(o.token) < minToken || strings.ContainsFunc(o.token, outside) {
		return usageErrorf("%s: want at least %d characters, letters, digits and signs of ASCII without spaces", name, minToken)
	}
	return nil
}

// listen opens the address.
func listen(flag, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, usageErrorf("%s %s: want host:port, as in %s", flag, address, defaultListen)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, address, err)
	}
	return l, nil
}

// announce prints the server's address, and says who can reach it.
func (p *program) announce(to io.Writer, l net.Listener, address string, open bool) error {
	if !serve.IsLoopback(l.Addr()) {
		p.note("other machines can reach %s: whoever has the token in the address below is let in, and it travels unencrypted unless a proxy adds TLS", l.Addr())
	}
	if _, err := fmt.Fprintln(to, address); err != nil {
		return err
	}
	if open {
		if err := openBrowser(address).Start(); err != nil {
			p.note("-open: %v; open the address by hand", err)
		}
	}
	return nil
}

// serveURL returns the address to open. If the server listens on all of the machine's addresses, it has the machine's
// name, which becomes one of the hosts.
func serveURL(a *net.TCPAddr, o *serveOptions) string {
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		host = "localhost"
		if name, err := os.Hostname(); err == nil {
			host = name
			o.hosts = append(o.hosts, name)
		}
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, fmt.Sprint(a.Port)), Path: "/"}
	if o.token != "" {
		u.RawQuery = url.Values{"token": {o.token}}.Encode()
	}
	return u.String()
}

// openBrowser is the system's program that opens an address.
func openBrowser(address string) *exec.Cmd {
	switch runtime.GOOS {
	case "darwin":
		return exec.Command("open", address)
	case "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", address)
	}
	return exec.Command("xdg-open", address)
}
