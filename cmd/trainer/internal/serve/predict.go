package serve

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"trainer/cmd/trainer/internal/answer"
)

// POST /predict answers pictures as trainer predict -json does. The body is a picture, or a form (multipart/form-data)
// whose files are pictures; a form is answered by one line per file, in their order. In the address, model names one of
// several models, and top the number of classes per picture.

// defaultTop is the number of classes in an answer.
const defaultTop = 5

// maxName is the number of bytes of a file's name that an answer repeats.
const maxName = 255

func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, s.limits.Body)
	m, err := s.model(r)
	if err != nil {
		s.send(w, r, err)
		return
	}
	top, err := topOf(r)
	if err != nil {
		s.send(w, r, err)
		return
	}
	mine := shareOf(r)
	pictures, isForm, err := s.readPictures(r, mine)
	if err != nil {
		s.send(w, r, err)
		return
	}
	answers, err := s.answers(r.Context(), m, mine, pictures, top)
	if err != nil {
		s.send(w, r, err)
		return
	}
	status := http.StatusOK
	if len(answers) == 1 && answers[0].Error != "" {
		status = http.StatusUnprocessableEntity
	}
	w.Header().Set("Content-Type", "application/json")
	if isForm {
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	w.WriteHeader(status)
	for _, a := range answers {
		if a.Write(w) != nil {
			return // the client is gone
		}
	}
}

// topOf returns the number of classes that a request asks for.
func topOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("top")
	if text == "" {
		return defaultTop, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, refuse(http.StatusBadRequest, "top", "top: want a number from 1")
	}
	return n, nil
}

// picture is a picture file of a request.
type picture struct {
	name    string
	content []byte
}

// readPictures reads the body of a request.
func (s *Server) readPictures(r *http.Request, mine *share) (pictures []picture, isForm bool, err error) {
	kind, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !strings.HasPrefix(kind, "multipart/") {
		content, err := mine.read(r.Body)
		if err == nil && len(content) == 0 {
			err = refuse(http.StatusBadRequest, "empty", "the body is empty: send a picture, as with curl --data-binary @picture.png")
		}
		return []picture{{content: content}}, false, err
	}
	form := multipart.NewReader(r.Body, parameters["boundary"])
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, true, formError(err)
		}
		if len(pictures) == s.limits.Pictures {
			return nil, true, refuse(http.StatusRequestEntityTooLarge, "pictures", "more than %d files in a form", s.limits.Pictures)
		}
		content, err := mine.read(part)
		if err != nil {
			return nil, true, formError(err)
		}
		name := part.FileName()
		if name == "" {
			return nil, true, refuse(http.StatusBadRequest, "form", "a part of the form is not a file: send pictures as files, as with curl -F picture=@picture.png")
		}
		pictures = append(pictures, picture{shorten(name), content})
	}
	if len(pictures) == 0 {
		return nil, true, refuse(http.StatusBadRequest, "empty", "the form has no files: send pictures, as with curl -F picture=@picture.png")
	}
	return pictures, true, nil
}

// formError returns the error for a form that can't be read: the client's, unless reading failed.
func formError(err error) error {
	if why := refusalOf(err); why.status != http.StatusInternalServerError {
		return why
	}
	return refuse(http.StatusBadRequest, "form", "the form is malformed")
}

// shorten returns the last part of a file's name, which a client chose. It names nothing on this machine.
func shorten(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return name
}

// answers asks the model about pictures. A picture that can't be read has an answer that says so.
func (s *Server) answers(ctx context.Context, m *served, mine *share, pictures []picture, top int) ([]answer.Picture, error) {
	answers, errs := make([]answer.Picture, len(pictures)), make([]error, len(pictures))
	var asking sync.WaitGroup
	for n, p := range pictures {
		m.batcher.coming.Add(1)
		pixels, err := s.image(ctx, m.decoder, mine, p.content)
		if err != nil {
			m.batcher.coming.Add(-1)
			unreadable, ok := errors.AsType[*pictureError](err)
			if !ok {
				asking.Wait()
				return nil, err
			}
			s.metrics.pictures.WithLabelValues(m.Name, "unreadable").Inc()
			answers[n] = answer.Failed(p.name, unreadable)
			continue
		}
		asking.Go(func() {
			probabilities, err := m.batcher.ask(ctx, pixels)
			if err != nil {
				errs[n] = err
				return
			}
			s.metrics.pictures.WithLabelValues(m.Name, "answered").Inc()
			answers[n] = answer.Of(p.name, m.Trained.Ranked(probabilities), top)
		})
	}
	asking.Wait()
	return answers, errors.Join(errs...)
}
