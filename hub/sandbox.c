#include "hub/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/* Newer than Debian 12's kernel headers; the numbers are the kernel's ABI. */
#define LL_FS_REFER (1ull << 13)
#define LL_FS_TRUNCATE (1ull << 14)
#define LL_FS_IOCTL_DEV (1ull << 15)
#define LL_NET_ALL 3ull   /* bind and connect of TCP */
#define LL_NET_BIND 1ull
#define LL_SCOPE_ALL 3ull /* abstract UNIX sockets, signals to processes outside */
#define LL_FS_V1 ((1ull << 13) - 1)

/* The same on all architectures, under which the filter names them by number. */
#define CALL_FCHMODAT2 452
#define CALL_SETXATTRAT 463
#define CALL_REMOVEXATTRAT 466
#define CALL_FILE_SETATTR 469

/* A pack may be inflated to delta-free objects in quarantine; its index comes on top. */
#define FILE_MAX (TRIB_PACK_INFLATED_MAX + 64 * TRIB_MIB)
/* libgit2 keeps every pack of a history open: a pack a night for ten years. */
#define FDS_MAX 4096

static int limit(int what, rlim_t soft, const char *name, struct trib_err *err)
{
	struct rlimit r;
	if (getrlimit(what, &r))
		return trib_fail_errno(err, "reading the limit on %s", name);
	if (r.rlim_max != RLIM_INFINITY && r.rlim_max < soft)
		soft = r.rlim_max;
	r.rlim_cur = r.rlim_max = soft;
	if (setrlimit(what, &r))
		return trib_fail_errno(err, "limiting %s", name);
	return 0;
}

int trib_sandbox_limits(struct trib_err *err)
{
	/* A delta bomb of 17 kB makes libgit2 ask for gigabytes: it must fail here and not bring the machine down. */
	if (!UNDER_ASAN && limit(RLIMIT_AS, TRIB_WORKER_AS, "memory", err))
		return -1;
	/* No peer fills the disk beyond what one push may bring. */
	if (limit(RLIMIT_FSIZE, FILE_MAX, "file size", err))
		return -1;
	if (limit(RLIMIT_NOFILE, FDS_MAX, "open files", err))
		return -1;
	/* A core file would hold the memory of a process that had the TLS key. */
	return limit(RLIMIT_CORE, 0, "core files", err);
}

int trib_sandbox_cpu(struct trib_err *err)
{
	struct rusage u;
	struct rlimit r;
	if (getrusage(RUSAGE_SELF, &u) || getrlimit(RLIMIT_CPU, &r))
		return trib_fail_errno(err, "reading the CPU time used");
	rlim_t now = (rlim_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + TRIB_WORKER_CPU_S + 1;
	r.rlim_cur = r.rlim_max != RLIM_INFINITY && r.rlim_max < now ? r.rlim_max : now;
	if (setrlimit(RLIMIT_CPU, &r))
		return trib_fail_errno(err, "limiting CPU time");
	return 0;
}

bool trib_sandbox_has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

struct ll_ruleset { uint64_t fs, net, scoped; };

static int ll_allow(int ruleset, const char *path, uint64_t access, bool may_miss, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && may_miss && errno == ENOENT)
		return 0;
	if (fd < 0)
		return trib_fail_errno(err, "opening %s for the sandbox", path);
	struct landlock_path_beneath_attr a = {.allowed_access = access, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0))
		return trib_fail_errno(err, "allowing %s in the sandbox", path);
	return 0;
}

static int enter_landlock(const struct trib_sandbox *s, struct trib_sandbox_state *st, struct trib_err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0) /* not built in, or not enabled at boot */
		return 0;
	struct ll_ruleset want = {.fs = LL_FS_V1};
	if (abi >= 2)
		want.fs |= LL_FS_REFER;
	if (abi >= 3)
		want.fs |= LL_FS_TRUNCATE;
	if (abi >= 5)
		want.fs |= LL_FS_IOCTL_DEV;
	if (abi >= 4)
		want.net = s->network ? LL_NET_BIND : LL_NET_ALL;
	if (abi >= 6)
		want.scoped = LL_SCOPE_ALL;
	size_t size = abi >= 6 ? sizeof(want) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	TRIB_AUTO(trib_fd) int fd = (int)syscall(SYS_landlock_create_ruleset, &want, size, 0);
	if (fd < 0)
		return trib_fail_errno(err, "making the sandbox");
	/* Histories: fetch reads any history that the peer's role allows, push reads its own to judge against. */
	uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	if (ll_allow(fd, s->read_dir, read, false, err))
		return -1;
	/* The published log. */
	if (s->read_more && ll_allow(fd, s->read_more, read, true, err))
		return -1;
	static const char *const names[] = {"/etc", "/run/systemd/resolve", "/usr/lib"};
	for (size_t i = 0; s->network && i < TRIB_COUNT(names); i++)
		if (ll_allow(fd, names[i], read, true, err))
			return -1;
	/* Own quarantine: the pack, its index, and their removal; regular files and directories only, nothing to execute. */
	uint64_t own = read | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		       LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR;
	/* Loose objects and packs are moved between directories of the quarantine. */
	own |= want.fs & (LL_FS_REFER | LL_FS_TRUNCATE);
	if (ll_allow(fd, s->write_dir, own, false, err))
		return -1;
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		return trib_fail_errno(err, "entering the sandbox");
	st->landlock = true;
	st->landlock_abi = (int)abi;
	return 0;
}

/* What a worker never needs. Its sockets and files are open before; no process is started; no privilege changes. */
static const int DENIED[] = {
	/* no other program, no other process */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(clone3),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kill), SCMP_SYS(tkill),
	SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(kcmp),
	SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(setpriority), SCMP_SYS(ioprio_set),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr), SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler),
	SCMP_SYS(migrate_pages), SCMP_SYS(move_pages), SCMP_SYS(process_madvise),
	/* no change of a file that it may not write: of these Landlock knows nothing, of truncate() before its third version */
	SCMP_SYS(chown), SCMP_SYS(fchown), SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(truncate), SCMP_SYS(truncate64),
	SCMP_SYS(utime), SCMP_SYS(utimes), SCMP_SYS(futimesat), SCMP_SYS(utimensat), SCMP_SYS(utimensat_time64),
	SCMP_SYS(setxattr), SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(removexattr), SCMP_SYS(lremovexattr),
	SCMP_SYS(fremovexattr), CALL_SETXATTRAT, CALL_REMOVEXATTRAT, CALL_FILE_SETATTR,
	/* nobody connects to it */
	SCMP_SYS(socketpair), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
	/* no change of identity, roots or mounts */
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid), SCMP_SYS(setresgid),
	SCMP_SYS(setgroups), SCMP_SYS(capset), SCMP_SYS(chroot), SCMP_SYS(pivot_root), SCMP_SYS(mount), SCMP_SYS(umount2),
	SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(mknod), SCMP_SYS(mknodat),
	/* no kernel surface that nothing here uses */
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(init_module),
	SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(quotactl), SCMP_SYS(acct), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
	SCMP_SYS(adjtimex), SCMP_SYS(personality), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(memfd_create), SCMP_SYS(mq_open),
	SCMP_SYS(shmget), SCMP_SYS(msgget), SCMP_SYS(semget),
};

static const int DENIED_NET[] = {SCMP_SYS(socket), SCMP_SYS(connect)};

/* A mode by path could open a key to all. They answer that it was done, and do nothing: libgit2 and our own writers set the mode of each file
 * they make, and those of a quarantine are made for their owner alone. */
static const int MODES[] = {SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), CALL_FCHMODAT2};

static int answer(scmp_filter_ctx f, unsigned error, const int *calls, size_t n)
{
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(error), calls[i], 0);
		/* Calls that this architecture does not have. */
		if (r == -EDOM || r == -EINVAL)
			r = 0;
	}
	return r;
}

/* Calls that a worker needs for itself, and that reach others by an argument. Numbers of processes and commands are 32 bits to the kernel. */
static int deny_others(scmp_filter_ctx f)
{
	const struct { int call; struct scmp_arg_cmp when; } rules[] = {
		/* abort() signals itself; limits are lowered before each request. */
		{SCMP_SYS(tgkill), {.arg = 0, .op = SCMP_CMP_NE, .datum_a = (scmp_datum_t)getpid()}},
		{SCMP_SYS(prlimit64), {.arg = 0, .op = SCMP_CMP_NE, .datum_a = 0}},
		/* A descriptor with another owner signals that one whenever something comes, with SIGKILL if it was told so. */
		{SCMP_SYS(fcntl), {.arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = F_SETOWN}},
		{SCMP_SYS(fcntl), {.arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = F_SETOWN_EX}},
		{SCMP_SYS(fcntl), {.arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = F_SETSIG}},
		{SCMP_SYS(ioctl), {.arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = FIOSETOWN}},
		{SCMP_SYS(ioctl), {.arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = SIOCSPGRP}},
	};
	int r = 0;
	for (size_t i = 0; i < TRIB_COUNT(rules) && r == 0; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), rules[i].call, 1, rules[i].when);
	return r;
}

static int enter_seccomp(const struct trib_sandbox *s, struct trib_sandbox_state *st, struct trib_err *err)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	if (!f)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int r = answer(f, EPERM, DENIED, TRIB_COUNT(DENIED));
	if (r == 0 && !s->network)
		r = answer(f, EPERM, DENIED_NET, TRIB_COUNT(DENIED_NET));
	if (r == 0)
		r = answer(f, 0, MODES, TRIB_COUNT(MODES));
	if (r == 0)
		r = deny_others(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	if (r == -EINVAL || r == -ENOSYS || r == -EFAULT) { /* a kernel without filters */
		if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
			return 0;
	}
	if (r) {
		errno = -r;
		return trib_fail_errno(err, "entering the system call filter");
	}
	st->seccomp = true;
	return 0;
}

int trib_sandbox_enter(const struct trib_sandbox *s, struct trib_sandbox_state *ret, struct trib_err *err)
{
	struct trib_sandbox_state st = {0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return trib_fail_errno(err, "giving up privileges");
	if (enter_landlock(s, &st, err))
		return -1;
	/* The leak check of AddressSanitizer clones a tracer. */
	if (!UNDER_ASAN && enter_seccomp(s, &st, err))
		return -1;
	*ret = st;
	return 0;
}
