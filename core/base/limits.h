/* limits.h: every cap of the project, each with its reason. One test sits at each limit and
 * one beyond it (tests/unit). Numbers are bytes unless the name says otherwise. */
#ifndef TRIB_LIMITS_H
#define TRIB_LIMITS_H

#define TRIB_KIB ((size_t)1024)
#define TRIB_MIB (1024 * TRIB_KIB)

/* Names. A node code is 12 digits in Zunyi; provinces and tests use others. */
#define TRIB_NODE_MAX 64          /* node id: [0-9A-Za-z._-], also a path component */
#define TRIB_APP_MAX 64           /* application name: same alphabet */
#define TRIB_NAME_MAX 255         /* table or column name, after decoding: SQLite has none, people do */
#define TRIB_TITLE_MAX 255        /* a node's or city's display name in UTF-8 bytes */

/* Tables: SQLite's own SQLITE_MAX_COLUMN default is 2000. */
#define TRIB_COLUMNS_MAX 2000
#define TRIB_TABLES_MAX 4096      /* seen in the wild: a few hundred */
#define TRIB_NODE_TABLES_MAX 8192 /* that one office brings into the city's file over time: a whole schema, and another one after a change of application */
#define TRIB_NODE_COLUMNS_MAX 1000 /* that it adds to tables which stand there: half of what SQLite allows one table, so that no office alone fills it for others */

/* A log that shows no newer checkpoint for longer is frozen, or the hub is not at work: both sides say so (D7.5). A hub at work shows one a day, the
 * nightly list; half a day more is for one that was off for a morning. */
#define TRIB_FRESH_S (36 * 3600)
/* So far ahead of ours may a witness's clock be: two machines that are set by a time server differ by seconds. A time further off would look fresh until that
 * day, however long the witness has been silent. */
#define TRIB_COSIG_AHEAD_S 300

/* Seconds that a community's clock may be off before hub and office call it wrong: more than a computer without NTP loses in a year. */
#define TRIB_CLOCK_SLACK_S 600

/* Changesets (D5.1). A part aims at 4 MiB compressed; one row may be as large as a row may be. */
#define TRIB_PART_GZ_TARGET (4 * TRIB_MIB)
#define TRIB_ROW_MAX (64 * TRIB_MIB)            /* a larger row is left out and named */
#define TRIB_PART_RAW_TARGET (32 * TRIB_MIB)    /* a part is cut here too, so that memory stays bounded */
#define TRIB_CHANGESET_RAW_MAX (200 * TRIB_MIB) /* target + one row old and new, with room */
#define TRIB_CHANGESET_GZ_MAX (200 * TRIB_MIB)
#define TRIB_PARTS_MAX 65535
#define TRIB_READ_TIMES 64                      /* default values of added columns may give so many times the file: a row of 16 bytes, a default of 1 KB */
#define TRIB_READ_FLOOR (256 * TRIB_MIB)        /* and so much of any file */
#define TRIB_LEFTOVER_MEM (64 * TRIB_MIB)       /* rows that differ, kept while comparing; beyond it they go to a temporary file */

/* Blobs of a commit tree. */
#define TRIB_MANIFEST_MAX (4 * TRIB_MIB)  /* 4096 tables of about 400 bytes, with room */
#define TRIB_SCHEMA_MAX (8 * TRIB_MIB)
#define TRIB_SIGNER_MAX (16 * TRIB_KIB)   /* leaf and issuing certificate in PEM: 2 KiB in practice */
#define TRIB_COMMIT_MAX (64 * TRIB_KIB)   /* raw commit object with its signature */
#define TRIB_MESSAGE_MAX (16 * TRIB_KIB)
#define TRIB_SIG_MAX (16 * TRIB_KIB)      /* PEM of one CMS signature: 720 bytes in practice */

/* Log (D7.5). */
#define TRIB_LEAF_MAX 65535
#define TRIB_NOTE_MAX (16 * TRIB_KIB)
#define TRIB_PROOF_MAX_HASHES 63

/* Packs and pushes (D8.4); measured reasons in docs/PROTOCOL.md. */
#define TRIB_PACK_MAX (256 * TRIB_MIB)          /* bytes of one uploaded pack */
#define TRIB_PACK_OBJECTS_MAX 100000            /* a step of a push has a few hundred */
#define TRIB_OBJECT_MAX (200 * TRIB_MIB)        /* one inflated object */
#define TRIB_PACK_INFLATED_MAX (1024 * TRIB_MIB)/* all inflated objects of one pack */
#define TRIB_PACK_DELTA_DEPTH 50                /* git's own default depth */
#define TRIB_PACK_DELTA_MAX (64 * TRIB_MIB)     /* instructions of one delta: rows of one object inserted anew */
#define TRIB_PACK_REF_DELTAS_MAX 10000          /* libgit2 pushes name every base by id: two a commit, TRIB_PUSH_COMMITS_MAX commits */
#define TRIB_UNPACK_WORK_MAX (8192 * TRIB_MIB)  /* bytes inflated or made while resolving: bases are rebuilt when the cache is full */
#define TRIB_PUSH_COMMITS_MAX 4096              /* commits one push may bring */
#define TRIB_PUSH_COMMANDS_MAX 4                /* ref updates in one push */
#define TRIB_PKT_MAX 65520                      /* git's pkt-line limit, header included */
#define TRIB_DISK_FLOOR (1024 * TRIB_MIB)       /* a push ends when less is free, or less than a twentieth of a small disk: hub.db must be able to say what is held */
/* What an office takes from a hub that may be false: what is new, as much as it may push itself; and a whole history on a machine that has nothing
 * of it yet, as much as comes in TRIB_REQUEST_MS over a line of 50 Mbit/s. */
#define TRIB_FETCH_MAX TRIB_PACK_MAX
#define TRIB_FETCH_WHOLE_MAX (4096 * TRIB_MIB)
#define TRIB_FETCH_FREE (16 * TRIB_MIB)         /* comes also to a disk that is nearly full: a night's receipts are some 5 KiB; what is more leaves TRIB_DISK_FLOOR */
#define TRIB_WANTS_MAX 256
#define TRIB_HAVES_MAX 65536

/* HTTP. */
#define TRIB_HTTP_HEAD_MAX (16 * TRIB_KIB)
#define TRIB_HTTP_TARGET_MAX 1024
#define TRIB_ENROL_BODY_MAX (32 * TRIB_KIB)     /* two CSRs and a code: 2 KiB in practice */
#define TRIB_ENROL_ANSWER_MAX (64 * TRIB_KIB)

/* Time, in milliseconds unless named otherwise. */
#define TRIB_HANDSHAKE_MS 15000
#define TRIB_HEAD_MS 20000
#define TRIB_IO_MS 60000                        /* silence on an open transfer */
#define TRIB_REQUEST_MS 600000                  /* one request, whole */
#define TRIB_ANON_MS 60000                      /* one request of a peer without a certificate: it may only enrol */
#define TRIB_CONN_MS 900000                     /* one connection, whole: then its worker is killed */
#define TRIB_BODY_GRACE_MS 30000                /* after it a request body must have come at TRIB_BODY_RATE or better */
#define TRIB_BODY_RATE 256                      /* bytes a second: a tenth of the poorest line met, yet no drip feed holds a worker */
#define TRIB_LOCK_WAIT_MS 30000
#define TRIB_SOURCE_BUSY_MS 5000                /* waiting for a writer's lock on the live file */

/* Worker process (D8.5). */
#define TRIB_WORKER_CPU_S 120
#define TRIB_WORKER_AS ((size_t)3072 * TRIB_MIB)
#define TRIB_WORKERS_MAX 64
/* Who gets a worker (hub/slots.h). A stranger is a connection that has not shown a certificate which the hub knows: it may become an office's in a second. */
#define TRIB_STRANGERS_MAX 48                   /* at once: a quarter of the workers is for offices that are known already */
#define TRIB_ADDRESS_STRANGERS_MAX 16           /* of one address: a whole town may stand behind one, yet handshakes take milliseconds */
#define TRIB_STRANGER_GRACE_MS 2000             /* so long a stranger stays when others wait: a handshake over the poorest line met, and room */
#define TRIB_STRANGER_MS (TRIB_HANDSHAKE_MS + TRIB_HEAD_MS + TRIB_ANON_MS) /* a whole connection of a stranger: one enrolment */
#define TRIB_PEER_CONNS_MAX 8                   /* connections of one office or person at once, over all its certificates: one is needed, two after a line broke */
#define TRIB_WAITING_MAX 256                    /* accepted connections that wait for a worker; more wait in the kernel's queue */
#define TRIB_ADDRESS_WAITING_MAX 64             /* of one address, once that queue is full: the newest above it is closed for others */
#define TRIB_WAITING_MS 30000                   /* then the peer has given up too */
#define TRIB_LINES_MEM (160 * TRIB_MIB)        /* half messages of all workers at the keeper: four of the largest; the slowest gives way */

/* Digest lanes: 2 KiB a table and its name. */
#define TRIB_LANES_MAX (16 * TRIB_MIB)
/* Down chain: receipts in one commit. */
#define TRIB_RECEIPTS_MAX (8 * TRIB_MIB)
/* What an office brings of a log that was cut off: some 5 KiB a night, so decades of nights, or months of a commit every ten minutes. */
#define TRIB_OLD_RECEIPTS_MAX (32 * TRIB_MIB)
#define TRIB_OLD_FILES_MAX 16384
#define TRIB_OLD_KEPT_MAX 16      /* such files of one history that the hub keeps for one epoch: an office needs one */
#define TRIB_BUNDLE_MAX ((size_t)1024 * TRIB_MIB)

/* The configuration file: a person wrote it. */
#define TRIB_CONFIG_MAX (64 * TRIB_KIB)
#define TRIB_CONFIG_LINES_MAX 256 /* more than all options of all commands */
#define TRIB_CONFIG_KEY_MAX 64
#define TRIB_CONFIG_VALUE_MAX 4096 /* a path */

/* The brake (D4.9). */
#define TRIB_BRAKE_ROWS 100
#define TRIB_BRAKE_PERCENT 20

#endif
