-- questions.sql: twenty questions that the city answers by SQL from the community tables. C1-C6 are the figures of the programme's own report
-- (teams, demands, person-times, members, relocation sites, services), C7-C14 the command centre's, A1-A6 the auditor's.
-- 用 SQL 回答的二十个问题：C1-C6 为“四红”报告中的数字，C7-C14 为指挥中心，A1-A6 为审计。
-- Parameters: :a and :b bound a period, :now and :asof are moments (UTC, YYYY-MM-DD HH:MM:SS), :p is a period's name.

-- C1 teams set up (954); 跑团+帮帮团 (200+)
SELECT count(*), sum(kind IN('run','help')) FROM team WHERE dissolved_on IS NULL;

-- C2 valid demands collected (5000+), solved (4755), rate
SELECT count(*), sum(solved=1), round(100.0*sum(solved=1)/count(*),1) FROM demand WHERE valid=1 AND duplicate_of IS NULL AND reported_at BETWEEN :a AND :b;

-- C3 person-times of service, online and offline (89,000)
SELECT e.channel, sum(CASE WHEN e.reverses IS NULL THEN e.persons ELSE -e.persons END) FROM service_event e WHERE e.at BETWEEN :a AND :b GROUP BY 1;

-- C4 in-service members reported in (100,000+), and those who never did, by unit
SELECT m.unit, count(*), sum(EXISTS(SELECT 1 FROM party_checkin c WHERE c.member=m.id AND c.kind='first')) FROM party_member m WHERE m.in_service=1 AND m.left_on IS NULL GROUP BY 1;

-- C5 relocation sites (184) and people (200,000+): planned against counted, employment
SELECT count(DISTINCT s.code), sum(s.planned_persons), (SELECT sum(persons) FROM relocation_household), (SELECT round(100.0*sum(employed)/count(*),1) FROM relocation_household) FROM relocation_site s;

-- C6 service catalogue really on offer (20+ categories, 200+ items), and items nobody used
SELECT count(DISTINCT category), count(*), sum(NOT EXISTS(SELECT 1 FROM service_event e WHERE e.item=i.code)) FROM service_item i WHERE retired=0;

-- C7 now open and overdue, by community, worst first (command centre wall)
SELECT d.community, count(*) n, sum(d.due_at<:now) overdue, min(d.due_at) FROM demand d WHERE d.status NOT IN('closed','rejected','merged') GROUP BY 1 ORDER BY overdue DESC, n DESC LIMIT 20;

-- C8 three rates of 接诉即办: answered in time, solved, satisfied (by county)
SELECT substr(d.community,1,6) county, round(100.0*sum((SELECT min(e.at) FROM demand_event e WHERE e.demand=d.id AND e.action='accept')<=datetime(d.reported_at,'+'||c.accept_hours||' hours'))/count(*),1), round(100.0*sum(solved=1)/count(*),1), round(avg(satisfied),2) FROM demand d JOIN demand_category c ON c.code=d.category WHERE d.valid=1 GROUP BY 1;

-- C9 one problem in many communities within 24 h (water off across streets): same category
SELECT category, count(DISTINCT community) n, count(*), min(reported_at) FROM demand WHERE reported_at>=datetime(:now,'-1 day') GROUP BY 1 HAVING n>=3;

-- C10 emergency: who has not acknowledged after 10 minutes; people moved so far
SELECT em.id, c.code FROM emergency em JOIN community c ON c.code LIKE em.scope||'%' LEFT JOIN emergency_ack k ON k.emergency=em.id AND k.community=c.code WHERE em.ended_at IS NULL AND k.at IS NULL AND em.started_at<datetime(:now,'-10 minutes');

-- C11 compounds without any manager (物业撤离, no self-management, no fallback): the next 新民
SELECT p.community, p.name FROM compound p WHERE NOT EXISTS(SELECT 1 FROM property_contract k WHERE k.compound=p.id AND (k.to_on IS NULL OR k.to_on>:now)) AND NOT EXISTS(SELECT 1 FROM committee m WHERE m.compound=p.id AND m.kind='self_mgmt') AND p.property_mode IN('company','none');

-- C12 owners' committees whose term has run out or was never filed
SELECT compound, term, expires_on, filed_on FROM committee WHERE kind='owners' AND (expires_on<:now OR filed_on IS NULL);

-- C13 buildings with no 五在楼栋 entry for 30 days
SELECT b.id FROM building b LEFT JOIN building_log l ON l.building=b.id GROUP BY b.id HAVING max(l.at) IS NULL OR max(l.at)<datetime(:now,'-30 days');

-- C14 三零 compounds this period, by county
SELECT substr(p.community,1,6), sum(k.no_ads AND k.no_clutter AND k.no_fee_dodging), count(*) FROM compound_check k JOIN compound p ON p.id=k.compound WHERE k.period=:p GROUP BY 1;

-- A1 the figure reported for a past day, rebuilt as of that day from the ledger
SELECT count(*) FROM demand d WHERE (SELECT e.action FROM demand_event e WHERE e.demand=d.id AND e.at<=:asof AND e.action IN('close','reopen') ORDER BY e.at DESC, e.id DESC LIMIT 1)='close';

-- A2 points balance per person, and every entry behind it; negative balances are an overspend in two places
SELECT person, sum(points) bal, count(*), count(DISTINCT community) FROM points_entry GROUP BY 1 HAVING bal<0;

-- A3 same deed paid twice under two source ids (same person, rule, day, two communities)
SELECT person, rule, substr(at,1,10) d, group_concat(DISTINCT community), sum(points) FROM points_entry WHERE reverses IS NULL GROUP BY 1,2,3 HAVING count(DISTINCT community)>1;

-- A4 volunteer hours that overlap in time in two places
SELECT a.volunteer, a.id, b.id FROM volunteer_time a JOIN volunteer_time b ON b.volunteer=a.volunteer AND b.id>a.id AND b.started_at<a.ended_at AND b.ended_at>a.started_at AND a.reverses IS NULL AND b.reverses IS NULL;

-- A5 people with two open usual residences, or none, city-wide (moves not handed over)
SELECT r.id, r.home, count(y.id) n, group_concat(y.community) FROM resident r LEFT JOIN residency y ON y.resident=r.id AND y.kind='usual' AND y.to_on IS NULL WHERE r.died_on IS NULL GROUP BY 1 HAVING n<>1;

-- A6 closed without a callback, or closed by the one who handled it
SELECT d.id FROM demand d WHERE d.status='closed' AND (NOT EXISTS(SELECT 1 FROM demand_event e WHERE e.demand=d.id AND e.action='callback') OR (SELECT actor FROM demand_event WHERE demand=d.id AND action='close' LIMIT 1)=(SELECT actor FROM demand_event WHERE demand=d.id AND action='handle' LIMIT 1));
