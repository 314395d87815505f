-- 0001_community.sql: the data of community governance, 64 tables (schema/README.md). 社区治理数据模型，64张表（见 schema/README.md）。
-- Keys are codes or ULIDs made at the office; times are UTC "YYYY-MM-DD HH:MM:SS"; money is integer fen; booleans are 0 or 1.
-- 主键为编码或本地生成的 ULID；时间一律为 UTC；金额为整数分；布尔值为 0 或 1。
-- Before each table: 中文, English, its class letter, and its policy as in policy.conf. Nothing is deleted: rows close.

-- ==== R reference: hub to offices, read-only below. 参考数据：市级下发，社区只读。 ====

-- 行政区划：省、市、县、乡、村五级；只关闭并指向后继，从不删除。
-- Administrative divisions, five levels; closed and pointed to a successor, never deleted.
-- class R; policy = hub; scope=city
CREATE TABLE division(
	code TEXT PRIMARY KEY CHECK (length(code) IN (2, 4, 6, 9, 12) AND code NOT GLOB '*[^0-9]*'),
	name TEXT NOT NULL,
	short_name TEXT NOT NULL,
	level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 5),
	parent TEXT REFERENCES division,
	kind TEXT NOT NULL,
	valid_from TEXT NOT NULL,
	valid_to TEXT,
	successor TEXT REFERENCES division
) STRICT;
CREATE INDEX IF NOT EXISTS ix_division_parent ON division(parent);
CREATE INDEX IF NOT EXISTS ix_division_short_name ON division(short_name);

-- 功能区（如新蒲新区）：所管街道的国家代码在别的县区。
-- Development zones: govern streets whose national code lies elsewhere.
-- class R; policy = hub; scope=city
CREATE TABLE zone(
	code TEXT PRIMARY KEY,
	name TEXT NOT NULL
) STRICT;

-- 功能区所管的区划。
-- Which divisions a zone governs, and since when.
-- class R; policy = hub; scope=city
CREATE TABLE zone_division(
	zone TEXT REFERENCES zone,
	division TEXT REFERENCES division,
	valid_from TEXT NOT NULL,
	valid_to TEXT,
	PRIMARY KEY(zone, division, valid_from)
) STRICT, WITHOUT ROWID;

-- 代码表：性别、婚姻、民族、文化程度等国家标准代码。
-- Every code list: sex, marital status, ethnic group, education and so on.
-- class R; policy = hub; scope=city
CREATE TABLE code_item(
	std TEXT,
	code TEXT,
	label TEXT NOT NULL,
	parent TEXT,
	retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1)),
	PRIMARY KEY(std, code)
) STRICT, WITHOUT ROWID;

-- 组织与部门：机关、党组织、社区、企业、社会组织、学校。
-- Organisations: departments, party bodies, communities, firms, social organisations, schools.
-- class R; policy = hub; scope=city
CREATE TABLE org(
	id TEXT PRIMARY KEY,
	uscc TEXT UNIQUE CHECK (length(uscc)=18),
	name TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('department', 'party_org', 'community', 'company', 'social_org', 'school', 'other')),
	dept_line TEXT,
	division TEXT REFERENCES division,
	parent TEXT REFERENCES org
) STRICT;

-- 服务类别：20余类。
-- Service categories: more than twenty.
-- class R; policy = hub; scope=city
CREATE TABLE service_category(
	code TEXT PRIMARY KEY,
	name TEXT NOT NULL
) STRICT;

-- 服务事项：200余项。
-- Service items: more than two hundred.
-- class R; policy = hub; scope=city
CREATE TABLE service_item(
	code TEXT PRIMARY KEY,
	category TEXT NOT NULL REFERENCES service_category,
	name TEXT NOT NULL,
	proxy_ok INTEGER NOT NULL DEFAULT 0,
	sla_hours INTEGER,
	retired INTEGER NOT NULL DEFAULT 0
) STRICT;

-- 诉求类别与时限：险情2小时、水电气24小时、一般7天、疑难15天。
-- Categories of demands with time limits: 2 h danger, 24 h water/power/gas, 7 d plain, 15 d hard.
-- class R; policy = hub; scope=city
CREATE TABLE demand_category(
	code TEXT PRIMARY KEY,
	parent TEXT REFERENCES demand_category,
	name TEXT NOT NULL,
	accept_hours INTEGER NOT NULL,
	close_hours INTEGER NOT NULL,
	lead_dept TEXT
) STRICT;

-- 诉求办理的合法步骤（状态机，以数据表示）。
-- The legal steps of a demand: the state machine, as data.
-- class R; policy = hub; scope=city
CREATE TABLE demand_transition(
	from_status TEXT,
	action TEXT,
	to_status TEXT NOT NULL,
	PRIMARY KEY(from_status, action)
) STRICT, WITHOUT ROWID;

-- 积分规则：从不修改，只增加新版本。
-- Points rules: never edited, a new version is added.
-- class R; policy = hub; scope=city
CREATE TABLE points_rule(
	code TEXT,
	version INTEGER,
	name TEXT NOT NULL,
	points INTEGER NOT NULL,
	day_cap INTEGER,
	valid_from TEXT NOT NULL,
	valid_to TEXT,
	PRIMARY KEY(code, version)
) STRICT, WITHOUT ROWID;

-- 易地扶贫搬迁安置点：全市184个。
-- Relocation sites: 184 in the city.
-- class R; policy = hub; scope=city
CREATE TABLE relocation_site(
	code TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	community TEXT NOT NULL REFERENCES division,
	kind TEXT NOT NULL,
	planned_households INTEGER,
	planned_persons INTEGER,
	completed_on TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS ix_relocation_site_community ON relocation_site(community);

-- 通知公告：按区划前缀下发；社区自己的通知归社区。
-- Notices, sent down by division prefix; a community owns its own notices.
-- class R; policy = owner; scope=city; hub owns rows of city and county issuers; filter=scope
CREATE TABLE announcement(
	id TEXT PRIMARY KEY,
	issuer TEXT NOT NULL REFERENCES org,
	scope TEXT NOT NULL REFERENCES division,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	publish_at TEXT NOT NULL,
	expires_at TEXT,
	version INTEGER NOT NULL DEFAULT 1,
	withdrawn INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS ix_announcement_scope_publish_at ON announcement(scope, publish_at);

-- 突发事件：优先通道。
-- Emergencies: priority lane.
-- class R; policy = hub; scope=city; filter=scope
CREATE TABLE emergency(
	id TEXT PRIMARY KEY,
	type_code TEXT NOT NULL,
	level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 4),
	scope TEXT NOT NULL REFERENCES division,
	title TEXT NOT NULL,
	started_at TEXT NOT NULL,
	ended_at TEXT,
	command_org TEXT REFERENCES org
) STRICT;

-- ==== O owned by one community: office to hub. 社区所有：社区上报。 ====

-- 社区：每个社区一行，编码即区划代码。
-- Communities, keyed by their division code.
-- class O; policy = columns; scope=city; hub=zone,relocation; owner=the rest
CREATE TABLE community(
	code TEXT PRIMARY KEY REFERENCES division CHECK (length(code)=12),
	zone TEXT REFERENCES zone,
	party_org TEXT REFERENCES org,
	phone TEXT,
	address TEXT,
	brand TEXT,
	relocation INTEGER NOT NULL DEFAULT 0
) STRICT;

-- 社区工作人员：书记、网格员、楼栋长、调解员、公益律师；所有事件的经办人。
-- Who works for the community and may write; the actor of every event.
-- class O; policy = owner; scope=node
CREATE TABLE staff(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	name_masked TEXT NOT NULL,
	role TEXT NOT NULL CHECK (role IN ('secretary', 'officer', 'grid_officer', 'building_leader', 'mediator', 'lawyer', 'dept_contact')),
	org TEXT REFERENCES org,
	from_on TEXT NOT NULL,
	to_on TEXT
) STRICT;

-- 网格：基础网格与专属网格，15位编码。
-- Grids: base and dedicated, 15-digit code.
-- class O; policy = owner; scope=node
CREATE TABLE grid(
	code TEXT PRIMARY KEY CHECK (length(code)=15),
	community TEXT NOT NULL REFERENCES community,
	name TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('base', 'dedicated')),
	officer TEXT REFERENCES staff,
	retired INTEGER NOT NULL DEFAULT 0,
	CHECK (substr(code, 1, 12)=community)
) STRICT;
CREATE INDEX IF NOT EXISTS ix_grid_community ON grid(community);

-- 小区：商品房、老旧、零星独栋、还房、安置。
-- Residential compounds: commodity, old, scattered, resettled, relocation.
-- class O; policy = owner; scope=node
CREATE TABLE compound(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	grid TEXT REFERENCES grid,
	name TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('commodity', 'old', 'scattered', 'resettled', 'relocation')),
	built_year INTEGER,
	property_mode TEXT NOT NULL CHECK (property_mode IN ('company', 'community_led', 'self_managed', 'fallback', 'none')),
	UNIQUE(community, name)
) STRICT;

-- 楼栋与楼栋长、星级（红色美丽楼栋）。
-- Buildings, their leaders and stars.
-- class O; policy = owner; scope=node
CREATE TABLE building(
	id TEXT PRIMARY KEY,
	compound TEXT NOT NULL REFERENCES compound,
	no TEXT NOT NULL,
	units INTEGER,
	floors INTEGER,
	leader TEXT REFERENCES staff,
	stars INTEGER CHECK (stars BETWEEN 0 AND 5),
	UNIQUE(compound, no)
) STRICT;

-- 房屋（户室）。
-- Dwellings.
-- class O; policy = owner; scope=node
CREATE TABLE dwelling(
	id TEXT PRIMARY KEY,
	building TEXT NOT NULL REFERENCES building,
	unit TEXT NOT NULL,
	room TEXT NOT NULL,
	area_m2 REAL,
	status TEXT NOT NULL CHECK (status IN ('own', 'rent', 'vacant', 'business')),
	UNIQUE(building, unit, room)
) STRICT;

-- 居民：证件号、姓名、电话、生日不出社区。
-- Residents: id number, name, phone and birthday never leave the office.
-- class O; policy = owner; scope=node; epoch=home_epoch; private=id_number,name,phone,birth_on
CREATE TABLE resident(
	id TEXT PRIMARY KEY,
	id_type TEXT NOT NULL DEFAULT '111',
	id_number TEXT,
	id_hash BLOB UNIQUE,
	name TEXT NOT NULL,
	name_masked TEXT NOT NULL,
	phone TEXT,
	sex TEXT NOT NULL DEFAULT '0',
	birth_on TEXT,
	birth_year INTEGER,
	ethnic TEXT,
	education TEXT,
	marital TEXT,
	political TEXT,
	hukou TEXT REFERENCES division,
	home TEXT NOT NULL REFERENCES community,
	home_epoch INTEGER NOT NULL DEFAULT 1,
	died_on TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS ix_resident_home ON resident(home);

-- 居住登记：户籍、常住、流动、寄住；人户分离合法。
-- Who lives where and since when; registered and usual residence may differ.
-- class O; policy = owner; scope=node; private=dwelling
CREATE TABLE residency(
	id TEXT PRIMARY KEY,
	resident TEXT NOT NULL REFERENCES resident,
	community TEXT NOT NULL REFERENCES community,
	dwelling TEXT REFERENCES dwelling,
	kind TEXT NOT NULL CHECK (kind IN ('hukou', 'usual', 'floating', 'lodging')),
	from_on TEXT NOT NULL,
	to_on TEXT,
	reason TEXT,
	CHECK (to_on IS NULL OR to_on>=from_on)
) STRICT;
CREATE INDEX IF NOT EXISTS ix_residency_resident_kind_to_on ON residency(resident, kind, to_on);
CREATE INDEX IF NOT EXISTS ix_residency_community_to_on ON residency(community, to_on);

-- 户。
-- Households.
-- class O; policy = owner; scope=node
CREATE TABLE household(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	dwelling TEXT REFERENCES dwelling,
	head TEXT REFERENCES resident,
	hukou_kind TEXT
) STRICT;

-- ==== P private: never leaves the office. 私密：不离开社区。 ====

-- 家庭成员关系：不出社区。
-- Family relations: never leave the office.
-- class P; policy = private
CREATE TABLE household_member(
	household TEXT REFERENCES household,
	resident TEXT REFERENCES resident,
	relation TEXT NOT NULL,
	from_on TEXT NOT NULL,
	to_on TEXT,
	PRIMARY KEY(household, resident, from_on)
) STRICT, WITHOUT ROWID;

-- ==== O owned by one community: office to hub. 社区所有：社区上报。 ====

-- 志愿服务队伍：954支；红色跑团、帮帮团200余支。
-- Volunteer teams: 954 in the city; more than 200 running and helping teams.
-- class O; policy = owner; scope=node
CREATE TABLE team(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	name TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('volunteer', 'run', 'help', 'charity_run', 'vanguard')),
	leader TEXT,
	party_org TEXT REFERENCES org,
	founded_on TEXT NOT NULL,
	dissolved_on TEXT,
	UNIQUE(community, name)
) STRICT;

-- 岗位：因事设岗。
-- Posts made from tasks.
-- class O; policy = owner; scope=node
CREATE TABLE post(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	title TEXT NOT NULL,
	need TEXT NOT NULL,
	quota INTEGER NOT NULL CHECK (quota>0),
	from_on TEXT NOT NULL,
	to_on TEXT
) STRICT;

-- 活动：公益活动、红色基因传承日、安全与法制课。
-- Activities: charity, heritage day, safety and law lessons.
-- class O; policy = owner; scope=node
CREATE TABLE activity(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	kind TEXT NOT NULL,
	title TEXT NOT NULL,
	starts_at TEXT NOT NULL,
	ends_at TEXT NOT NULL,
	place TEXT,
	quota INTEGER,
	team TEXT REFERENCES team,
	status TEXT NOT NULL CHECK (status IN ('draft', 'open', 'done', 'cancelled')),
	CHECK (ends_at>starts_at)
) STRICT;
CREATE INDEX IF NOT EXISTS ix_activity_community_starts_at ON activity(community, starts_at);

-- ==== S several writers. 多方写入。 ====

-- 物业服务企业。
-- Property companies.
-- class S; policy = columns; scope=city; hub=name,kind,founded_on,revoked_on; owner=party_org
CREATE TABLE property_company(
	uscc TEXT PRIMARY KEY CHECK (length(uscc)=18),
	name TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('commercial', 'community_led')),
	party_org TEXT REFERENCES org,
	founded_on TEXT,
	revoked_on TEXT
) STRICT;

-- ==== O owned by one community: office to hub. 社区所有：社区上报。 ====

-- 物业服务合同：起止与终止原因。
-- Property contracts: from, to and why they ended.
-- class O; policy = owner; scope=node
CREATE TABLE property_contract(
	id TEXT PRIMARY KEY,
	compound TEXT NOT NULL REFERENCES compound,
	company TEXT NOT NULL REFERENCES property_company,
	from_on TEXT NOT NULL,
	to_on TEXT,
	end_reason TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS ix_property_contract_compound_to_on ON property_contract(compound, to_on);

-- 业主委员会、红色物管会、自管小组。
-- Owners' committees, red property committees, self-management groups.
-- class O; policy = owner; scope=node; hub=filed_on
CREATE TABLE committee(
	id TEXT PRIMARY KEY,
	compound TEXT NOT NULL REFERENCES compound,
	kind TEXT NOT NULL CHECK (kind IN ('owners', 'red_property', 'self_mgmt')),
	term INTEGER NOT NULL DEFAULT 1,
	elected_on TEXT NOT NULL,
	expires_on TEXT,
	filed_on TEXT,
	UNIQUE(compound, kind, term)
) STRICT;

-- 委员会成员。
-- Members of committees.
-- class O; policy = owner; scope=node
CREATE TABLE committee_member(
	committee TEXT REFERENCES committee,
	resident TEXT REFERENCES resident,
	role TEXT NOT NULL,
	party_member INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY(committee, resident)
) STRICT, WITHOUT ROWID;

-- 公约与管理制度：版本化。
-- Covenants and rules, versioned.
-- class O; policy = owner; scope=node
CREATE TABLE rule_document(
	id TEXT PRIMARY KEY,
	compound TEXT NOT NULL REFERENCES compound,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	version INTEGER NOT NULL,
	adopted_on TEXT NOT NULL,
	UNIQUE(compound, title, version)
) STRICT;

-- 三零小区检查：无乱贴、无杂物、无欠缴。
-- Checks of "three zeros": no ads, no clutter, no unpaid fees.
-- class O; policy = owner; scope=node
CREATE TABLE compound_check(
	compound TEXT REFERENCES compound,
	period TEXT,
	no_ads INTEGER NOT NULL,
	no_clutter INTEGER NOT NULL,
	no_fee_dodging INTEGER NOT NULL,
	checked_by TEXT,
	PRIMARY KEY(compound, period)
) STRICT, WITHOUT ROWID;

-- 搬迁户：来源地、人数、就业人数。
-- Relocated households: origin, persons, employed.
-- class O; policy = owner; scope=node
CREATE TABLE relocation_household(
	household TEXT PRIMARY KEY REFERENCES household,
	site TEXT NOT NULL REFERENCES relocation_site,
	origin TEXT NOT NULL REFERENCES division,
	moved_on TEXT NOT NULL,
	persons INTEGER NOT NULL CHECK (persons>0),
	employed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS ix_relocation_household_site ON relocation_household(site);

-- 红安家园六项评分。
-- Six scores per relocation site and period.
-- class O; policy = owner; scope=node
CREATE TABLE site_check(
	site TEXT REFERENCES relocation_site,
	period TEXT,
	dimension TEXT CHECK (dimension IN ('organisation', 'environment', 'safety', 'employment', 'benefit', 'life')),
	score INTEGER NOT NULL CHECK (score BETWEEN 0 AND 100),
	PRIMARY KEY(site, period, dimension)
) STRICT, WITHOUT ROWID;

-- 老年人日间照料中心。
-- Day care centres for the elderly.
-- class O; policy = owner; scope=node
CREATE TABLE daycare_center(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	name TEXT NOT NULL,
	capacity INTEGER NOT NULL
) STRICT;

-- 平安事件：概要不出社区；一、二级走优先通道。
-- Safety incidents: the summary never leaves; grades 1 and 2 take the priority lane.
-- class O; policy = owner; scope=node; private=summary
CREATE TABLE incident(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	kind TEXT NOT NULL,
	type_code TEXT,
	grade INTEGER NOT NULL CHECK (grade BETWEEN 1 AND 4),
	happened_at TEXT NOT NULL,
	building TEXT REFERENCES building,
	summary TEXT,
	status TEXT NOT NULL,
	emergency TEXT REFERENCES emergency
) STRICT;

-- ==== S several writers. 多方写入。 ====

-- 在职党员：身份与组织关系归组织部门，联系方式与特长归最近报到的社区。
-- In-service party members: identity belongs to the organisation department, contact and skills to the last community.
-- class S; policy = columns; scope=city; hub=id_hash,name_masked,home_org,unit,in_service,stage,left_on; latest=contact,skills
CREATE TABLE party_member(
	id TEXT PRIMARY KEY,
	id_hash BLOB UNIQUE,
	name_masked TEXT NOT NULL,
	home_org TEXT NOT NULL REFERENCES org,
	unit TEXT REFERENCES org,
	in_service INTEGER NOT NULL,
	stage TEXT NOT NULL CHECK (stage IN ('full', 'probationary')),
	left_on TEXT,
	contact TEXT,
	skills TEXT
) STRICT;

-- 志愿者：全国统一编号，不用身份证号。
-- Volunteers: the national volunteer number, not the id number.
-- class S; policy = columns; scope=city; latest=skills,status; owner=the rest
CREATE TABLE volunteer(
	id TEXT PRIMARY KEY,
	national_no TEXT UNIQUE,
	id_hash BLOB UNIQUE,
	name_masked TEXT NOT NULL,
	home TEXT NOT NULL REFERENCES community,
	skills TEXT,
	status TEXT NOT NULL DEFAULT 'active'
) STRICT;

-- ==== O owned by one community: office to hub. 社区所有：社区上报。 ====

-- 队伍成员。
-- Members of teams.
-- class O; policy = owner; scope=node
CREATE TABLE team_member(
	team TEXT REFERENCES team,
	volunteer TEXT REFERENCES volunteer,
	role TEXT NOT NULL DEFAULT 'member',
	joined_on TEXT NOT NULL,
	left_on TEXT,
	PRIMARY KEY(team, volunteer, joined_on)
) STRICT, WITHOUT ROWID;

-- ==== S several writers. 多方写入。 ====

-- 群众诉求：状态、主办、办结、解决、满意度由市级按事件推算。
-- Demands: status, lead, closed, solved, satisfied are derived at the hub from the events.
-- class S; policy = columns; scope=city; derived=status,lead,closed_at,solved,satisfied; private=detail,reporter,contact
CREATE TABLE demand(
	id TEXT PRIMARY KEY,
	no TEXT UNIQUE,
	community TEXT NOT NULL REFERENCES community,
	category TEXT NOT NULL REFERENCES demand_category,
	source TEXT NOT NULL CHECK (source IN ('miniapp', 'phone', 'grid', 'building', 'hotline', 'visit')),
	title TEXT NOT NULL,
	detail TEXT,
	building TEXT REFERENCES building,
	reporter TEXT,
	contact TEXT,
	valid INTEGER NOT NULL DEFAULT 1,
	reported_at TEXT NOT NULL,
	due_at TEXT,
	status TEXT NOT NULL DEFAULT 'reported',
	lead TEXT REFERENCES org,
	duplicate_of TEXT REFERENCES demand,
	closed_at TEXT,
	solved INTEGER,
	satisfied INTEGER CHECK (satisfied BETWEEN 1 AND 5)
) STRICT;
CREATE INDEX IF NOT EXISTS ix_demand_community_status_due_at ON demand(community, status, due_at);
CREATE INDEX IF NOT EXISTS ix_demand_reported_at ON demand(reported_at);

-- 活动报名：按市级收到的先后，满额候补。
-- Sign-ups: first come by hub order, the rest wait.
-- class S; policy = first; scope=city; latest=status
CREATE TABLE activity_signup(
	activity TEXT REFERENCES activity,
	person TEXT,
	at TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('wait', 'in', 'out')),
	PRIMARY KEY(activity, person)
) STRICT, WITHOUT ROWID;

-- 站岗轮值：先到先得，落选者得知。
-- Duty roster: first by hub order, the loser is told.
-- class S; policy = first; scope=city
CREATE TABLE duty_slot(
	post TEXT REFERENCES post,
	slot_at TEXT,
	person TEXT NOT NULL,
	status TEXT NOT NULL DEFAULT 'planned',
	PRIMARY KEY(post, slot_at)
) STRICT, WITHOUT ROWID;

-- ==== O owned by one community: office to hub. 社区所有：社区上报。 ====

-- 民主议事：议题与表决规则。
-- Deliberations: question and threshold.
-- class O; policy = owner; scope=node
CREATE TABLE deliberation(
	id TEXT PRIMARY KEY,
	compound TEXT NOT NULL REFERENCES compound,
	question TEXT NOT NULL,
	threshold TEXT NOT NULL CHECK (threshold IN ('half', 'three_quarters')),
	opens_at TEXT NOT NULL,
	closes_at TEXT NOT NULL,
	outcome TEXT
) STRICT;

-- ==== S several writers. 多方写入。 ====

-- 表决：截止前可改；只有票数离开社区。
-- Votes: may change until closing; only tallies leave the office.
-- class S; policy = private
CREATE TABLE vote(
	deliberation TEXT REFERENCES deliberation,
	dwelling TEXT REFERENCES dwelling,
	choice TEXT NOT NULL CHECK (choice IN ('for', 'against', 'abstain')),
	area_m2 REAL NOT NULL,
	at TEXT NOT NULL,
	PRIMARY KEY(deliberation, dwelling)
) STRICT, WITHOUT ROWID;

-- 党务政务咨询：部门答复，社区回访与代办，提问人评价。
-- Consultations: the department answers, the community calls back and acts as proxy, the asker rates.
-- class S; policy = columns; scope=city; hub=dept,answer,answered_at; owner=the rest; private=question
CREATE TABLE consultation(
	id TEXT PRIMARY KEY,
	community TEXT NOT NULL REFERENCES community,
	line TEXT NOT NULL CHECK (line IN ('party', 'government')),
	item TEXT REFERENCES service_item,
	question TEXT NOT NULL,
	asked_at TEXT NOT NULL,
	dept TEXT REFERENCES org,
	answer TEXT,
	answered_at TEXT,
	called_back_at TEXT,
	proxy TEXT NOT NULL DEFAULT 'none' CHECK (proxy IN ('none', 'offered', 'accepted', 'done')),
	rating INTEGER
) STRICT;

-- ==== L append-only: insert once, never update or delete; a mistake is a second row that reverses the first. 流水：只增不改，错了再记一笔冲销。 ====

-- 诉求办理记录：只增不改。
-- What happened to a demand: append only.
-- class L; policy = append; scope=node
CREATE TABLE demand_event(
	id TEXT PRIMARY KEY,
	demand TEXT NOT NULL REFERENCES demand,
	at TEXT NOT NULL,
	node TEXT NOT NULL,
	actor_kind TEXT NOT NULL,
	actor TEXT,
	action TEXT NOT NULL CHECK (action IN ('report', 'accept', 'reject', 'assign', 'claim', 'release', 'transfer', 'handle', 'close', 'callback', 'rate', 'reopen', 'suspend', 'merge')),
	target TEXT,
	payload TEXT CHECK (payload IS NULL OR json_valid(payload))
) STRICT;
CREATE INDEX IF NOT EXISTS ix_demand_event_demand_at ON demand_event(demand, at);

-- 党员报到记录：居住地与单位两条线。
-- Party members reporting in, by residence and by unit.
-- class L; policy = append; scope=node
CREATE TABLE party_checkin(
	id TEXT PRIMARY KEY,
	member TEXT NOT NULL REFERENCES party_member,
	community TEXT NOT NULL REFERENCES community,
	kind TEXT NOT NULL CHECK (kind IN ('first', 'periodic', 'transfer_out', 'withdraw')),
	track TEXT NOT NULL CHECK (track IN ('residence', 'unit')),
	at TEXT NOT NULL,
	post TEXT REFERENCES post,
	received_by TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS ix_party_checkin_member_at ON party_checkin(member, at);
CREATE INDEX IF NOT EXISTS ix_party_checkin_community_at ON party_checkin(community, at);

-- 志愿服务时长：重叠只标记，不丢弃。
-- Volunteer hours: an overlap is flagged, not dropped.
-- class L; policy = append; scope=node
CREATE TABLE volunteer_time(
	id TEXT PRIMARY KEY,
	volunteer TEXT NOT NULL REFERENCES volunteer,
	community TEXT NOT NULL REFERENCES community,
	team TEXT REFERENCES team,
	activity TEXT REFERENCES activity,
	started_at TEXT NOT NULL,
	ended_at TEXT NOT NULL,
	minutes INTEGER NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
	reverses TEXT REFERENCES volunteer_time
) STRICT;
CREATE INDEX IF NOT EXISTS ix_volunteer_time_volunteer_started_at ON volunteer_time(volunteer, started_at);

-- 服务记录：8.9万余人次由此求和。
-- Services rendered: 89,000 person-times are their sum.
-- class L; policy = append; scope=node
CREATE TABLE service_event(
	id TEXT PRIMARY KEY,
	item TEXT NOT NULL REFERENCES service_item,
	community TEXT NOT NULL REFERENCES community,
	at TEXT NOT NULL,
	channel TEXT NOT NULL CHECK (channel IN ('online', 'offline')),
	persons INTEGER NOT NULL CHECK (persons>0),
	team TEXT REFERENCES team,
	ref_table TEXT,
	ref_id TEXT,
	reverses TEXT REFERENCES service_event
) STRICT;
CREATE INDEX IF NOT EXISTS ix_service_event_community_at ON service_event(community, at);
CREATE INDEX IF NOT EXISTS ix_service_event_item ON service_event(item);

-- 积分流水：余额永远是求和，从不存储。
-- Points: the balance is always a sum, never stored.
-- class L; policy = append; scope=node
CREATE TABLE points_entry(
	id TEXT PRIMARY KEY,
	person TEXT NOT NULL,
	rule TEXT NOT NULL,
	rule_version INTEGER NOT NULL,
	points INTEGER NOT NULL CHECK (points<>0),
	community TEXT NOT NULL REFERENCES community,
	at TEXT NOT NULL,
	source TEXT NOT NULL,
	source_id TEXT NOT NULL,
	reverses TEXT REFERENCES points_entry,
	FOREIGN KEY(rule, rule_version) REFERENCES points_rule,
	UNIQUE(person, rule, source, source_id)
) STRICT;
CREATE INDEX IF NOT EXISTS ix_points_entry_person_at ON points_entry(person, at);

-- 五在楼栋日志：政策、信息、问题、环境、服务。
-- Building log: five duties.
-- class L; policy = append; scope=node
CREATE TABLE building_log(
	id TEXT PRIMARY KEY,
	building TEXT NOT NULL REFERENCES building,
	duty TEXT NOT NULL CHECK (duty IN ('policy', 'information', 'problem', 'environment', 'service')),
	at TEXT NOT NULL,
	by_whom TEXT NOT NULL,
	note TEXT,
	demand TEXT REFERENCES demand
) STRICT;
CREATE INDEX IF NOT EXISTS ix_building_log_building_at ON building_log(building, at);

-- 安全巡查与隐患。
-- Safety inspections and hazards.
-- class L; policy = append; scope=node
CREATE TABLE inspection(
	id TEXT PRIMARY KEY,
	building TEXT NOT NULL REFERENCES building,
	kind TEXT NOT NULL,
	at TEXT NOT NULL,
	hazard INTEGER NOT NULL,
	due_on TEXT,
	follows TEXT REFERENCES inspection,
	incident TEXT REFERENCES incident
) STRICT;

-- 矛盾调解。
-- Mediations.
-- class L; policy = append; scope=node
CREATE TABLE mediation(
	id TEXT PRIMARY KEY,
	incident TEXT NOT NULL REFERENCES incident,
	at TEXT NOT NULL,
	mediator TEXT NOT NULL,
	result TEXT NOT NULL
) STRICT;

-- 突发事件签收。
-- Who has acknowledged an emergency.
-- class L; policy = append; scope=node
CREATE TABLE emergency_ack(
	emergency TEXT REFERENCES emergency,
	community TEXT REFERENCES community,
	at TEXT NOT NULL,
	PRIMARY KEY(emergency, community)
) STRICT, WITHOUT ROWID;

-- 突发事件报告。
-- Reports of an emergency.
-- class L; policy = append; scope=node
CREATE TABLE emergency_report(
	id TEXT PRIMARY KEY,
	emergency TEXT NOT NULL REFERENCES emergency,
	community TEXT NOT NULL REFERENCES community,
	at TEXT NOT NULL,
	affected INTEGER NOT NULL DEFAULT 0,
	moved INTEGER NOT NULL DEFAULT 0,
	need TEXT
) STRICT;

-- 自管小组仓库：只记增减。
-- Store of reused materials: deltas only.
-- class L; policy = append; scope=node
CREATE TABLE stock_move(
	id TEXT PRIMARY KEY,
	compound TEXT NOT NULL REFERENCES compound,
	material TEXT NOT NULL,
	qty INTEGER NOT NULL CHECK (qty<>0),
	at TEXT NOT NULL,
	by_whom TEXT,
	purpose TEXT
) STRICT;

-- 在线学习。
-- Online study.
-- class L; policy = append; scope=node
CREATE TABLE study_record(
	id TEXT PRIMARY KEY,
	person TEXT NOT NULL,
	course TEXT NOT NULL,
	at TEXT NOT NULL,
	minutes INTEGER NOT NULL
) STRICT;

-- 日间照料：老人以本地化名记录。
-- Day care visits: the elder under a pseudonym of the office.
-- class L; policy = append; scope=node
CREATE TABLE daycare_visit(
	id TEXT PRIMARY KEY,
	center TEXT NOT NULL REFERENCES daycare_center,
	elder TEXT NOT NULL,
	on_date TEXT NOT NULL,
	services TEXT,
	UNIQUE(center, elder, on_date)
) STRICT;

-- ==== P private: never leaves the office. 私密：不离开社区。 ====

-- 特殊人群与重点青少年：不出社区。
-- People in special care: never leaves the office.
-- class P; policy = private
CREATE TABLE special_care(
	resident TEXT REFERENCES resident,
	kind TEXT,
	level TEXT,
	since_on TEXT,
	note TEXT,
	PRIMARY KEY(resident, kind)
) STRICT, WITHOUT ROWID;

-- 儿童成长：不满十四周岁，敏感信息。
-- Child growth: under fourteen, sensitive.
-- class P; policy = private
CREATE TABLE child_growth(
	id TEXT PRIMARY KEY,
	resident TEXT NOT NULL REFERENCES resident,
	measured_on TEXT NOT NULL,
	height_cm REAL,
	weight_kg REAL,
	guardian TEXT,
	left_behind INTEGER,
	UNIQUE(resident, measured_on)
) STRICT;

-- 健康记录：不出社区。
-- Health notes: never leave the office.
-- class P; policy = private
CREATE TABLE health_note(
	id TEXT PRIMARY KEY,
	resident TEXT NOT NULL REFERENCES resident,
	on_date TEXT NOT NULL,
	note TEXT
) STRICT;

-- 远程开门记录。
-- Door openings.
-- class P; policy = private
CREATE TABLE access_event(
	id INTEGER PRIMARY KEY,
	building TEXT REFERENCES building,
	person TEXT,
	at TEXT NOT NULL,
	how TEXT
) STRICT;

-- 生活缴费，整数分。
-- Bills paid, in integer fen.
-- class P; policy = private
CREATE TABLE payment(
	id INTEGER PRIMARY KEY,
	resident TEXT REFERENCES resident,
	kind TEXT NOT NULL,
	fen INTEGER NOT NULL,
	at TEXT NOT NULL
) STRICT;

-- 附件：内容不出社区，仅散列值可随上报行离开。
-- Attachments: the body never leaves; the hash may travel.
-- class P; policy = owner; scope=node; private=body
CREATE TABLE attachment(
	sha256 BLOB PRIMARY KEY CHECK (length(sha256)=32),
	mime TEXT NOT NULL,
	bytes INTEGER NOT NULL,
	body BLOB
) STRICT;

PRAGMA user_version = 1;
