package main_test

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func TestPage(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		_, e := filled(t, p)
		for _, c := range []struct {
			name, password, host string
			set                  func(*http.Request)
			want                 int
		}{
			{"loopback", "", "127.0.0.1:0", nil, 200},
			{"another name for this machine", "", "127.0.0.1:0", func(r *http.Request) { r.Host = "evil.example" }, 403},
			{"no password", "geheim", "0.0.0.0:0", nil, 401},
			{"wrong password", "geheim", "0.0.0.0:0", func(r *http.Request) { r.SetBasicAuth("ops", "geheimer") }, 401},
			{"password", "geheim", "0.0.0.0:0", func(r *http.Request) { r.SetBasicAuth("ops", "geheim") }, 200},
		} {
			body, code := visit(t, e.with(env{"FPROM_PAGE_PASSWORD": c.password}), c.host, c.set)
			if code != c.want || (code == 200) != strings.Contains(body, "sale:bad_1") || strings.Contains(body, "jane@example.com") {
				t.Errorf("%s: %d, want %d: %.200s", c.name, code, c.want, body)
			}
		}
		if r := fprom(t, e, "page", "--addr", ":0").want(t, 2); !strings.Contains(r.err, "FPROM_PAGE_PASSWORD") {
			t.Error(r)
		}
	})
}

// A service can start while the page of its outbox is open, and the page goes on with it and after it.
func TestPageTakesNothingFromTheService(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake, e := filled(t, p)
	url, end := page(t, e, "127.0.0.1:0")
	defer end()
	look := func(state string) { // the page shows the same for a second or longer
		t.Helper()
		eventually(t, func() bool {
			body, code := ask(t, url, nil)
			return code == http.StatusOK && strings.Contains(body, "sale:bad_1") && strings.Contains(body, state)
		})
	}
	look("no process delivers")
	_, stop := serve(t, p, fake) // fails the test if the file is held
	look("delivery is on")
	stop()
	look("no process delivers")
}

// visit starts the page, asks for it once, and ends it with Ctrl-C.
func visit(t *testing.T, e env, addr string, set func(*http.Request)) (string, int) {
	t.Helper()
	url, end := page(t, e, addr)
	defer end()
	return ask(t, url, set)
}

// page starts the page, until end ends it with Ctrl-C.
func page(t *testing.T, e env, addr string) (url string, end func()) {
	t.Helper()
	cmd := command(t, e, "page", "--addr", addr)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(errs)
	line, err := lines.ReadString('\n')
	m := regexp.MustCompile(`:(\d+)/`).FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("%v: %s", err, line)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return "http://127.0.0.1:" + m[1] + "/", func() {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
	}
}

func ask(t *testing.T, url string, set func(*http.Request)) (string, int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.StatusCode
}
