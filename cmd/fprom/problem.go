package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/riverqueue"
)

// problem is something known that is wrong with an outbox, and what to do.
type problem struct {
	what, do string
	exit     int  // 0: exitFailed
	passes   bool // the service or the database may be restarting
}

func (p *problem) Error() string { return p.what + "; " + p.do }

const runAgain = "run the command again"

var (
	errReplica  = &problem{what: "a replica or a read-only database: nothing can be stored in it", do: "name the primary server in the address"}
	errNoRights = &problem{what: "PostgreSQL: permission denied", do: "grant the user of the address what the service's user may do"}
)

// problemOf returns the problem that an error of an outbox means, or nil if it is not known.
func problemOf(err error) *problem {
	p, isProblem := errors.AsType[*problem](err)
	socket, isSocket := errors.AsType[*url.Error](err)
	pg, isPg := errors.AsType[*pgconn.PgError](err)
	_, why, broken := strings.Cut(fmt.Sprint(err), " is out of use: ")
	_, noConnection := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case isProblem:
		return p
	case errors.Is(err, boltqueue.ErrForeign):
		return &problem{what: "is no outbox of fprom", do: "name the outbox's file: this one is something else, and was not changed"}
	case errors.Is(err, boltqueue.ErrOldFormat):
		return &problem{what: "was written by an older release, whose format this one does not read", do: "let the older release deliver what waits, then start with a new file"}
	case errors.Is(err, boltqueue.ErrNewerFormat):
		return &problem{what: "was written by a newer release", do: "use the fprom of the service's release, or a newer one"}
	case errors.Is(err, boltqueue.ErrDamaged):
		return &problem{what: "is damaged", do: "keep a copy, then restore a backup or start with a new file; fprom reconcile --sales finds what is missing"}
	case errors.Is(err, boltqueue.ErrLocked) && broken: // the service has answered
		return &problem{what: "the service that has it open cannot use it any more: " + clean(why), do: "mend what the reason names, then restart the service: until then it stores and sends nothing"}
	case errors.Is(err, boltqueue.ErrLocked):
		return &problem{what: "another process has the file open and does not answer on the socket beside it", do: "if the service is starting or ending, run the command again; else let this user open the socket (FILE.sock), or, if there is none, restart the service without boltqueue.WithoutSocket, or stop it meanwhile. If the path has more than 98 bytes, run the command in the directory of the file, and name the file alone"}
	case errors.Is(err, syscall.EROFS):
		return &problem{what: "read-only file system", do: "mount the volume writable (Kubernetes: readOnly, Docker: :ro)"}
	case errors.Is(err, fs.ErrPermission):
		return &problem{what: "permission denied", do: "run it as the user of the service, and let that user write the file and its directory"}
	case errors.Is(err, riverqueue.ErrSchema):
		return &problem{what: "the tables are missing or of another version", do: "check ?schema=, and use the fprom of the service's release; if no service has made the tables yet, let it call riverqueue's Queue.Migrate when it starts"}
	case isPg && pg.Code == "42501":
		return errNoRights
	case isPg && strings.HasPrefix(pg.Code, "28"):
		return &problem{what: "PostgreSQL refuses the user or the password", do: "check user and password in the address", exit: exitRefused}
	case isPg && pg.Code == "3D000":
		return &problem{what: "PostgreSQL has no such database", do: "check the database's name in the address"}
	case noConnection:
		return &problem{what: "PostgreSQL cannot be reached", do: "check host, port and sslmode in the address, and that PostgreSQL runs and lets this machine in", exit: exitUnreachable, passes: true}
	case errors.Is(err, fprom.ErrQueueClosed), isSocket && strings.HasPrefix(socket.URL, "http://outbox/"):
		return &problem{what: "the service that has it open ended, or does not answer", do: runAgain, passes: true}
	case errors.Is(err, io.ErrUnexpectedEOF), isSystem(err, syscall.ECONNRESET), isPg && strings.HasPrefix(pg.Code, "57P"):
		return &problem{what: "the connection to it ended", do: runAgain, passes: true}
	default:
		return nil
	}
}

// winsock are the numbers that Windows has for errors of the network. Its package syscall has the same names as elsewhere, but for
// numbers of its own, which the system never returns.
var winsock = map[syscall.Errno]syscall.Errno{
	syscall.ENETUNREACH: 10051, syscall.ECONNRESET: 10054, syscall.ECONNREFUSED: 10061, syscall.EHOSTUNREACH: 10065,
}

// isSystem reports whether err is this error of the network, on any system.
func isSystem(err error, number syscall.Errno) bool {
	return errors.Is(err, number) || errors.Is(err, winsock[number])
}

// restarting reports whether err is that of an outbox whose service or database may be restarting.
func restarting(err error) bool {
	p := problemOf(err)
	return p != nil && p.passes
}

// fileProblem says what is wrong with the path of a file, before anything opens it, or returns nil.
func fileProblem(where string) *problem {
	info, err := os.Stat(where)                    //nolint:gosec // the operator's path
	_, noDirectory := os.Stat(filepath.Dir(where)) //nolint:gosec // the operator's path
	switch {
	case strings.Contains(where, "://"):
		return &problem{what: "is neither a file nor an address that begins with postgres://", do: "name a file, or postgres://user@host/database", exit: exitUsage}
	case errors.Is(err, fs.ErrNotExist) && noDirectory != nil:
		return &problem{what: "neither the file nor its directory exists", do: "check the path and $" + envOutbox + "; make the directory, or mount its volume"}
	case errors.Is(err, fs.ErrNotExist) && hasSocket(where):
		return &problem{what: "there is no such file, but the socket of a service beside it: the file was moved or deleted while the service had it open", do: "end the service, put the file back, then start the service: what it stored meanwhile is in the moved file. If no service runs, remove the socket (FILE.sock)"}
	case errors.Is(err, fs.ErrNotExist):
		return &problem{what: "there is no such file", do: "check the path and $" + envOutbox + "; the service makes the file when it starts: was it started with the same path?"}
	case err != nil:
		return &problem{what: plain(withoutPath(err)), do: "run it as the user of the service"}
	case info.IsDir():
		return &problem{what: "is a directory", do: "name the file in it"}
	case info.Size() == 0:
		return &problem{what: "is an empty file, which no service has opened yet", do: "check the path and $" + envOutbox}
	}
	return nil
}

// hasSocket reports whether a service made its socket beside the file.
func hasSocket(where string) bool {
	_, err := os.Stat(where + ".sock") //nolint:gosec // the operator's path
	return err == nil
}
