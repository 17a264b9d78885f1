//go:build linux

package command

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// siege is a server process that clients treat badly, and the lines of the table that docs/results/serve.md has.
type siege struct {
	*testing.T
	process *exec.Cmd
	url     string // without the last slash
	client  *http.Client
	good    []byte // a picture
	right   string // the answer to it
	log     bytes.Buffer
}

// TestSiege lets clients do to trainer serve what they should not, while a training runs: afterwards it answers as before, the training
// has the bits of one that nobody disturbed, and the memory stays within the limits. It takes minutes: TRAINER_LONG_TESTS=1 (make test-long)
// runs it, and prints a table with -v.
func TestSiege(t *testing.T) {
	if os.Getenv("TRAINER_LONG_TESTS") == "" {
		t.Skip("it takes minutes: make test-long")
	}
	t.Chdir(t.TempDir())
	if got := trainer(t, "-recipe", "mnist-basic", "-epochs", "0.1", "-device", "cpu", "-quiet", "-out", "run"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	s := besieged(t)
	s.startTraining()
	t.Logf("| what | requests | refused | processor time, with the training's | memory after it, at most so far |")
	s.phase("200 clients, 10,000 pictures", s.uploads)
	s.phase("10,000 hostile pictures", s.hostilePictures)
	s.phase("2,000 forms with hostile names", s.hostileNames)
	s.phase("1,000 networks opened", s.manySessions)
	s.phase("800 readers that take nothing, 200 that send a byte per second, others beside them", s.slowReaders)
	s.phase("200 claims of 30 MB each, of which 1 MB arrives", s.claims)
	s.phase("1,500 connections that send nothing", s.idle)
	s.phase("100 pages that follow the training and read nothing", s.watchers)
	s.phase("10,000 requests for runs, recipes and files with hostile names", s.hostilePaths)
	s.phase("200 clients, 10,000 pictures, again", s.uploads)
	s.finishTraining()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.process.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if n := strings.Count(s.log.String(), "\n"); n > 100 || strings.Contains(s.log.String(), "internal error") || strings.ContainsRune(s.log.String(), '\x1b') {
		t.Errorf("the log has %d lines: %.2000s", n, s.log.String())
	}
}

// besieged starts a server.
func besieged(t *testing.T) *siege {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{T: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}, Timeout: 2 * time.Minute}}
	s.process = exec.CommandContext(t.Context(), self, "serve", "-device", "cpu", "-listen", "127.0.0.1:0", "run", "mnist")
	s.process.Env = append(os.Environ(), "TRAINER_TEST_MAIN=1")
	s.process.Stderr = &s.log
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err, s.log.String())
	}
	s.url = strings.TrimSuffix(strings.TrimSpace(address), "/")
	im := image.NewGray(image.Rect(0, 0, 28, 28))
	for i := range im.Pix {
		im.Pix[i] = byte(i * i)
	}
	s.good = encoded(t, func(w io.Writer) error { return png.Encode(w, im) })
	status, body := s.post("/predict", s.good)
	if s.right = body; status != http.StatusOK {
		t.Fatalf("status %d, %s", status, body)
	}
	return s
}

func encoded(t *testing.T, encode func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// post sends a body and returns status and answer; status 0 if there is none.
func (s *siege) post(path string, body []byte, headers ...string) (int, string) {
	r, err := http.NewRequest("POST", s.url+path, bytes.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	return s.send(r, headers...)
}

func (s *siege) send(r *http.Request, headers ...string) (int, string) {
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// phase lets clients do something, wants the server to work afterwards, and adds a line to the table.
func (s *siege) phase(what string, attack func() (requests, refused int)) {
	s.Helper()
	before, begun := s.cpu(), time.Now()
	requests, refused := attack()
	used := s.cpu() - before
	for _, path := range []string{"/healthz", "/metrics", "/api/runs"} {
		r, err := http.NewRequest("GET", s.url+path, nil)
		if err != nil {
			s.Fatal(err)
		}
		if status, body := s.send(r); status != http.StatusOK {
			s.Errorf("after %s, %s: status %d, %.200s", what, path, status, body)
		}
	}
	if status, body := s.post("/predict", s.good); status != http.StatusOK || body != s.right {
		s.Errorf("after %s: status %d, %s, want %s", what, status, body, s.right)
	}
	s.Logf("| %s | %d | %d | %.1f s (%.0f s in all) | %d MB, %d MB |", what, requests, refused, used.Seconds(), time.Since(begun).Seconds(), s.memory("VmRSS"), s.memory("VmHWM"))
	if most := s.memory("VmHWM"); most > 2000 {
		s.Errorf("after %s: the server has taken %d MB", what, most)
	}
}

// cpu is the server's processor time, the training's included.
func (s *siege) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		s.Fatal(err, s.log.String())
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is a figure of the server in megabytes.
func (s *siege) memory(name string) (megabytes int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		s.Fatal(err, s.log.String())
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name+":") {
			kilobytes, _ := strconv.Atoi(strings.Fields(line)[1])
			return kilobytes / 1024
		}
	}
	return 0
}

// many does something n times, by so many clients at the same time, and counts the answers that are refusals.
func (s *siege) many(clients, n int, ask func(k int) (status int)) (requests, refused int) {
	var next, bad atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for k := next.Add(1); k <= int64(n); k = next.Add(1) {
				if ask(int(k)) != http.StatusOK {
					bad.Add(1)
				}
			}
		})
	}
	all.Wait()
	return n, int(bad.Load())
}

// trainingRecipe is a training that outlasts the siege, at least in part.
func (s *siege) trainingRecipe() string {
	return strings.Replace(trainer(s.T, "recipe", "mnist-basic").stdout, "epochs = 3", "epochs = 12", 1)
}

// startTraining starts a training, as the page does.
func (s *siege) startTraining() {
	plan, err := json.Marshal(map[string]any{"recipe": s.trainingRecipe(), "data": "mnist", "name": "meanwhile", "seed": 5})
	if err != nil {
		s.Fatal(err)
	}
	if status, body := s.post("/api/train/start", plan); status != http.StatusOK {
		s.Fatalf("status %d, %s", status, body)
	}
}

// finishTraining waits for the training, and compares it with one that nobody disturbed.
func (s *siege) finishTraining() {
	for {
		r, _ := http.NewRequest("GET", s.url+"/api/training", nil)
		_, body := s.send(r)
		if strings.Contains(body, `"phase":"finished"`) {
			break
		}
		if !strings.Contains(body, `"phase":"training"`) && !strings.Contains(body, `"phase":"evaluating"`) {
			s.Fatalf("the training: %.500s", body)
		}
		time.Sleep(time.Second)
	}
	write(s.T, "meanwhile.toml", s.trainingRecipe())
	if got := trainer(s.T, "-recipe", "meanwhile.toml", "-seed", "5", "-device", "cpu", "-quiet", "-out", "alone"); got.status != exitOK {
		s.Fatalf("%+v", got)
	}
	if !sameWeights(s.T, filepath.Join("runs", "meanwhile"), "alone") {
		s.Error("the training has other weights than one that nobody disturbed")
	}
}

// uploads has 200 clients with 10,000 pictures, whose answers must be right.
func (s *siege) uploads() (int, int) {
	return s.many(200, 10_000, func(int) int {
		status, body := s.post("/predict", s.good)
		if status == http.StatusOK && body != s.right {
			s.Errorf("an answer to somebody else: %s", body)
		}
		return status
	})
}

// pngOf returns a gray PNG file that claims a size and has so many rows of it, all zero, so that it is small.
func pngOf(width, height, rows int) []byte {
	var b, content bytes.Buffer
	chunk := func(kind string, data []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(data)))
		body := append([]byte(kind), data...)
		b.Write(body)
		_ = binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(body))
	}
	b.WriteString("\x89PNG\r\n\x1a\n")
	header := binary.BigEndian.AppendUint32(nil, uint32(width))
	header = binary.BigEndian.AppendUint32(header, uint32(height))
	chunk("IHDR", append(header, 8, 0, 0, 0, 0))
	z := zlib.NewWriter(&content)
	for range rows {
		_, _ = z.Write(make([]byte, width+1))
	}
	_ = z.Close()
	chunk("IDAT", content.Bytes())
	chunk("IEND", nil)
	return b.Bytes()
}

// hostilePictures has 20 kinds of pictures that no camera makes.
func (s *siege) hostilePictures() (int, int) {
	im := image.NewPaletted(image.Rect(0, 0, 28, 28), color.Palette{color.Black, color.White})
	asJPEG := encoded(s.T, func(w io.Writer) error { return jpeg.Encode(w, im, nil) })
	asGIF := encoded(s.T, func(w io.Writer) error { return gif.Encode(w, im, nil) })
	frames := &gif.GIF{}
	for range 2000 {
		frames.Image, frames.Delay = append(frames.Image, im), append(frames.Delay, 0)
	}
	changed := func(file []byte, at int, to ...byte) []byte {
		file = slices.Clone(file)
		copy(file[at:], to)
		return file
	}
	sof := bytes.Index(asJPEG, []byte{0xff, 0xc0})
	pictures := [][]byte{
		nil, []byte("GIF89a"), []byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{0xff, 0xd8}, 5000), bytes.Repeat([]byte("RIFF"), 1000),
		s.good[:len(s.good)/2], changed(s.good, 16, 0xff, 0xff, 0xff, 0xff), changed(s.good, len(s.good)/2, 0xff, 0, 0xff),
		pngOf(1<<15, 1<<15, 1), pngOf(1500, 1500, 1500), pngOf(1, 1<<16, 1<<16), pngOf(1<<20, 1, 1), pngOf(28, 28, 1),
		asJPEG[:len(asJPEG)/2], changed(asJPEG, sof+5, 0xff, 0xff, 0xff, 0xff), changed(asGIF, 6, 0xff, 0xff, 0xff, 0xff),
		encoded(s.T, func(w io.Writer) error { return gif.EncodeAll(w, frames) }),
		append([]byte("BM\xff\xff\xff\x7f\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\x00\x18\x00"), make([]byte, 100)...),
		append([]byte("II*\x00\x08\x00\x00\x00\xff\xff"), bytes.Repeat([]byte{0, 1, 4, 0, 0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0}, 200)...),
		[]byte("<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"),
	}
	large := pngOf(9000, 9000, 9000) // 81 MB of pixels in 80 KB
	return s.many(50, 10_000, func(k int) int {
		picture := pictures[k%len(pictures)]
		if k%200 == 0 {
			picture = large
		}
		status, body := s.post("/predict", picture)
		if status == http.StatusInternalServerError || status == 0 {
			s.Errorf("hostile picture %d: status %d, %s", k%len(pictures), status, body)
		}
		return status
	})
}

// hostileNames sends forms whose files have bad names.
func (s *siege) hostileNames() (int, int) {
	names := []string{"../../../../etc/passwd", "/etc/passwd", "C:\\x\\..\\y", hostileText, strings.Repeat("é", 5000), "\x00", "..", "<script>alert(1)</script>", "CON", "%2e%2e%2f"}
	return s.many(20, 2000, func(k int) int {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for range 1 + k%80 { // more than 64 are refused
			part, err := w.CreateFormFile("p", names[k%len(names)])
			if err != nil {
				s.Error(err)
				return 0
			}
			_, _ = part.Write(s.good)
		}
		w.Close()
		status, body := s.post("/predict?top=1", b.Bytes(), "Content-Type", w.FormDataContentType())
		if status == http.StatusInternalServerError || strings.ContainsAny(body, "\x1b\x00") || strings.Contains(body, "etc/") {
			s.Errorf("name %q: status %d, %.200s", names[k%len(names)], status, body)
		}
		return status
	})
}

// openSession opens a network of the Learn part.
func (s *siege) openSession() (id string, status int) {
	status, body := s.post("/api/sessions", []byte(`{"network":"mnist"}`))
	var opened struct{ ID string }
	_ = json.Unmarshal([]byte(body), &opened)
	return opened.ID, status
}

func (s *siege) manySessions() (int, int) {
	return s.many(50, 1000, func(int) int {
		_, status := s.openSession()
		return status
	})
}

// connect opens a connection and sends the beginning of a request.
func (s *siege) connect(begin string) net.Conn {
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.Error(err)
		return nil
	}
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, _ = io.WriteString(c, begin)
	return c
}

// rawRequest returns a request as text.
func rawRequest(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// slowReaders ask for large answers and take none, and others send very slowly. Meanwhile a client that behaves is answered.
func (s *siege) slowReaders() (int, int) {
	id, _ := s.openSession()
	var open []net.Conn
	for k := range 1000 {
		begin := rawRequest("/api/sessions/"+id+"/forward", string(make([]byte, 28*28)))
		if k%5 == 4 {
			begin = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
		}
		open = append(open, s.connect(begin))
	}
	done := make(chan bool)
	go func() {
		for range 10 {
			time.Sleep(time.Second)
			for k := 4; k < len(open); k += 5 {
				_, _ = open[k].Write([]byte{0x89})
			}
		}
		close(done)
	}()
	n, refused := s.many(4, 500, func(int) int {
		begun := time.Now()
		status, body := s.post("/predict", s.good)
		if status == http.StatusOK && body != s.right || time.Since(begun) > 20*time.Second {
			s.Errorf("beside slow readers: status %d after %v, %s", status, time.Since(begun), body)
		}
		return status
	})
	<-done
	s.Logf("| while they are connected | | | | %d MB, %d MB |", s.memory("VmRSS"), s.memory("VmHWM"))
	for _, c := range open {
		c.Close()
	}
	return n + len(open), refused
}

// claims begin bodies that never end.
func (s *siege) claims() (int, int) {
	var open []net.Conn
	for range 200 {
		open = append(open, s.connect("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n"))
	}
	var all sync.WaitGroup
	for _, c := range open {
		all.Go(func() { // a server that has refused doesn't read on
			_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
			_, _ = c.Write(make([]byte, 1<<20))
		})
	}
	all.Wait()
	n, refused := s.many(4, 500, func(int) int {
		status, _ := s.post("/predict", s.good)
		return status
	})
	s.Logf("| while they are connected | | | | %d MB, %d MB |", s.memory("VmRSS"), s.memory("VmHWM"))
	for _, c := range open {
		c.Close()
	}
	return n + len(open), refused
}

// idle opens more connections than there are places, and wants an answer once the server has closed the first.
func (s *siege) idle() (int, int) {
	s.client.CloseIdleConnections()
	var open []net.Conn
	for range 1500 {
		open = append(open, s.connect(""))
	}
	begun := time.Now()
	if status, body := s.post("/predict", s.good); status != http.StatusOK {
		s.Errorf("beside 1,500 connections: status %d, %s", status, body)
	}
	s.Logf("| the next client has its answer after | | | %.1f s | |", time.Since(begun).Seconds())
	for _, c := range open {
		c.Close()
	}
	return 1501, 0
}

// watchers follow the training and read nothing.
func (s *siege) watchers() (int, int) {
	var open []net.Conn
	refused := 0
	for range 100 {
		c := s.connect("GET /api/training/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		head := make([]byte, 12)
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(c, head); err != nil || !strings.HasSuffix(string(head), "200") {
			refused++
		}
		open = append(open, c)
	}
	time.Sleep(20 * time.Second)
	for _, c := range open {
		c.Close()
	}
	return len(open), refused
}

// hostilePaths asks for what nobody may have.
func (s *siege) hostilePaths() (int, int) {
	bad := []string{"%2e%2e", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "%00", "%1b%5b2J", "CON", strings.Repeat("x", 4000), "%ff%fe", "meanwhile%2f..%2f..", "..%5c..%5cx"}
	forms := []string{"/api/runs/%s", "/api/runs/%s/resume", "/api/runs/%s/rename", "/api/runs/%s/delete", "/api/runs/%s/learn", "/api/train/recipes/%s", "/api/networks/%s/samples?from=0&count=1", "/api/sessions/%s/forward", "/%s", "/predict?model=%s"}
	return s.many(20, 10_000, func(k int) int {
		path := fmt.Sprintf(forms[k%len(forms)], bad[k/len(forms)%len(bad)])
		method := "POST"
		if k%3 == 0 {
			method = "GET"
		}
		r, err := http.NewRequest(method, s.url+path, strings.NewReader(`{"name":"../x"}`))
		if err != nil {
			return 0
		}
		status, body := s.send(r)
		if status == http.StatusOK || status >= 500 || strings.Contains(body, "root:") {
			s.Errorf("%s %.100s: status %d, %.200s", method, path, status, body)
		}
		return status
	})
}
