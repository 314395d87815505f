-- 0002_reference.sql: code lists of national standards, limits and state machine of demands, points, sample services. 参考数据：国家标准代码、诉求时限与办理步骤、积分规则、服务目录样例。
-- Only codes whose meaning is certain stand here; a city adds what it uses. Rows are never deleted: retired = 1.

INSERT INTO code_item(std, code, label, parent) VALUES
-- 性别 sex
('GB/T 2261.1', '0', '未知的性别', NULL), ('GB/T 2261.1', '1', '男性', NULL), ('GB/T 2261.1', '2', '女性', NULL), ('GB/T 2261.1', '9', '未说明的性别', NULL),
-- 婚姻状况 marital status
('GB/T 2261.2', '10', '未婚', NULL), ('GB/T 2261.2', '20', '已婚', NULL), ('GB/T 2261.2', '21', '初婚', '20'), ('GB/T 2261.2', '22', '再婚', '20'),
('GB/T 2261.2', '23', '复婚', '20'), ('GB/T 2261.2', '30', '丧偶', NULL), ('GB/T 2261.2', '40', '离婚', NULL), ('GB/T 2261.2', '90', '未说明的婚姻状况', NULL),
-- 健康状况 health
('GB/T 2261.3', '1', '健康或良好', NULL), ('GB/T 2261.3', '2', '一般或较弱', NULL), ('GB/T 2261.3', '3', '有慢性病', NULL), ('GB/T 2261.3', '6', '残疾', NULL),
-- 从业状况 work
('GB/T 2261.4', '11', '国家公务员', NULL), ('GB/T 2261.4', '13', '专业技术人员', NULL), ('GB/T 2261.4', '17', '职员', NULL), ('GB/T 2261.4', '21', '企业管理人员', NULL),
('GB/T 2261.4', '24', '工人', NULL), ('GB/T 2261.4', '27', '农民', NULL), ('GB/T 2261.4', '31', '学生', NULL), ('GB/T 2261.4', '37', '现役军人', NULL),
('GB/T 2261.4', '51', '自由职业者', NULL), ('GB/T 2261.4', '54', '个体经营者', NULL), ('GB/T 2261.4', '70', '无业人员', NULL), ('GB/T 2261.4', '80', '退（离）休人员', NULL),
('GB/T 2261.4', '90', '其他', NULL),
-- 民族 ethnic group
('GB/T 3304', '01', '汉族', NULL), ('GB/T 3304', '02', '蒙古族', NULL), ('GB/T 3304', '03', '回族', NULL), ('GB/T 3304', '04', '藏族', NULL),
('GB/T 3304', '05', '维吾尔族', NULL), ('GB/T 3304', '06', '苗族', NULL), ('GB/T 3304', '07', '彝族', NULL), ('GB/T 3304', '08', '壮族', NULL),
('GB/T 3304', '09', '布依族', NULL), ('GB/T 3304', '10', '朝鲜族', NULL), ('GB/T 3304', '11', '满族', NULL), ('GB/T 3304', '12', '侗族', NULL),
('GB/T 3304', '13', '瑶族', NULL), ('GB/T 3304', '14', '白族', NULL), ('GB/T 3304', '15', '土家族', NULL), ('GB/T 3304', '16', '哈尼族', NULL),
('GB/T 3304', '17', '哈萨克族', NULL), ('GB/T 3304', '18', '傣族', NULL), ('GB/T 3304', '19', '黎族', NULL), ('GB/T 3304', '20', '傈僳族', NULL),
('GB/T 3304', '21', '佤族', NULL), ('GB/T 3304', '22', '畲族', NULL), ('GB/T 3304', '23', '高山族', NULL), ('GB/T 3304', '24', '拉祜族', NULL),
('GB/T 3304', '25', '水族', NULL), ('GB/T 3304', '26', '东乡族', NULL), ('GB/T 3304', '27', '纳西族', NULL), ('GB/T 3304', '28', '景颇族', NULL),
('GB/T 3304', '29', '柯尔克孜族', NULL), ('GB/T 3304', '30', '土族', NULL), ('GB/T 3304', '31', '达斡尔族', NULL), ('GB/T 3304', '32', '仫佬族', NULL),
('GB/T 3304', '33', '羌族', NULL), ('GB/T 3304', '34', '布朗族', NULL), ('GB/T 3304', '35', '撒拉族', NULL), ('GB/T 3304', '36', '毛南族', NULL),
('GB/T 3304', '37', '仡佬族', NULL), ('GB/T 3304', '38', '锡伯族', NULL), ('GB/T 3304', '39', '阿昌族', NULL), ('GB/T 3304', '40', '普米族', NULL),
('GB/T 3304', '41', '塔吉克族', NULL), ('GB/T 3304', '42', '怒族', NULL), ('GB/T 3304', '43', '乌孜别克族', NULL), ('GB/T 3304', '44', '俄罗斯族', NULL),
('GB/T 3304', '45', '鄂温克族', NULL), ('GB/T 3304', '46', '德昂族', NULL), ('GB/T 3304', '47', '保安族', NULL), ('GB/T 3304', '48', '裕固族', NULL),
('GB/T 3304', '49', '京族', NULL), ('GB/T 3304', '50', '塔塔尔族', NULL), ('GB/T 3304', '51', '独龙族', NULL), ('GB/T 3304', '52', '鄂伦春族', NULL),
('GB/T 3304', '53', '赫哲族', NULL), ('GB/T 3304', '54', '门巴族', NULL), ('GB/T 3304', '55', '珞巴族', NULL), ('GB/T 3304', '56', '基诺族', NULL),
-- 学历 education
('GB/T 4658', '10', '研究生教育', NULL), ('GB/T 4658', '20', '大学本科教育', NULL), ('GB/T 4658', '30', '大学专科教育', NULL), ('GB/T 4658', '40', '中等职业教育', NULL),
('GB/T 4658', '60', '普通高级中学教育', NULL), ('GB/T 4658', '70', '初级中学教育', NULL), ('GB/T 4658', '80', '小学教育', NULL), ('GB/T 4658', '90', '其他', NULL),
-- 家庭关系 family relation
('GB/T 4761', '0', '本人或户主', NULL), ('GB/T 4761', '1', '配偶', NULL), ('GB/T 4761', '2', '子', NULL), ('GB/T 4761', '3', '女', NULL),
('GB/T 4761', '4', '孙子、孙女或外孙子、外孙女', NULL), ('GB/T 4761', '5', '父母', NULL), ('GB/T 4761', '6', '祖父母或外祖父母', NULL), ('GB/T 4761', '7', '兄、弟、姐、妹', NULL),
('GB/T 4761', '8', '其他', NULL),
-- 政治面貌 political status
('GB/T 4762', '01', '中国共产党党员', NULL), ('GB/T 4762', '02', '中国共产党预备党员', NULL), ('GB/T 4762', '03', '中国共产主义青年团团员', NULL), ('GB/T 4762', '13', '群众', NULL),
-- 证件种类 kind of document
('GA/T 517', '111', '居民身份证', NULL), ('GA/T 517', '113', '户口簿', NULL), ('GA/T 517', '414', '普通护照', NULL), ('GA/T 517', '511', '台湾居民来往大陆通行证', NULL),
-- 突发事件四大类（本项目自编代码，未采用 GB/T 35561 的五位码） the four classes of emergencies, under codes of our own
('tributary:emergency', 'natural', '自然灾害', NULL), ('tributary:emergency', 'accident', '事故灾难', NULL),
('tributary:emergency', 'health', '公共卫生事件', NULL), ('tributary:emergency', 'security', '社会安全事件', NULL),
-- 部门条线 lines of departments (org.dept_line)
('tributary:dept-line', '组织', '组织部门', NULL), ('tributary:dept-line', '政法', '政法部门', NULL), ('tributary:dept-line', '宣传', '宣传部门', NULL),
('tributary:dept-line', '综治', '社会治安综合治理', NULL), ('tributary:dept-line', '民政', '民政部门', NULL), ('tributary:dept-line', '行政执法', '行政执法部门', NULL),
('tributary:dept-line', '市场监管', '市场监管部门', NULL), ('tributary:dept-line', '公安', '公安机关', NULL), ('tributary:dept-line', '应急', '应急管理部门', NULL),
('tributary:dept-line', '卫健', '卫生健康部门', NULL);

INSERT INTO zone(code, name) VALUES ('xinpu', '新蒲新区');

-- 诉求类别。办结时限：险情 2 小时，水电气 24 小时，一般 7 天，疑难 15 天；受理时限为默认值，可由市里调整。
-- Limits to close: danger 2 h, water, power and gas 24 h, plain 7 d, hard 15 d. The limits to accept are defaults that a city may change.
INSERT INTO demand_category(code, parent, name, accept_hours, close_hours, lead_dept) VALUES
('danger', NULL, '安全险情', 1, 2, '应急'), ('utility', NULL, '水电气', 2, 24, NULL), ('plain', NULL, '一般诉求', 24, 168, NULL), ('hard', NULL, '疑难诉求', 24, 360, NULL),
('danger-gas', 'danger', '燃气泄漏', 1, 2, '应急'), ('danger-falling', 'danger', '高空坠物隐患', 1, 2, '应急'),
('utility-water', 'utility', '停水', 2, 24, NULL), ('utility-power', 'utility', '停电', 2, 24, NULL), ('utility-gas', 'utility', '停气', 2, 24, NULL),
('plain-environment', 'plain', '环境卫生差', 24, 168, NULL), ('plain-noise', 'plain', '噪声扰民', 24, 168, '行政执法'), ('plain-parking', 'plain', '停车位不足', 24, 168, NULL),
('hard-pipes', 'hard', '管道老化', 24, 360, NULL), ('hard-roof', 'hard', '房顶漏水', 24, 360, NULL), ('hard-property', 'hard', '物业撤离', 24, 360, NULL);

-- 诉求办理步骤：首接负责；'' 为尚未登记。 The steps of a demand; '' is "not yet reported".
INSERT INTO demand_transition(from_status, action, to_status) VALUES
('', 'report', 'reported'),
('reported', 'accept', 'accepted'), ('reported', 'reject', 'rejected'), ('reported', 'merge', 'merged'), ('reported', 'claim', 'assigned'),
('accepted', 'assign', 'assigned'), ('accepted', 'claim', 'assigned'), ('accepted', 'transfer', 'accepted'), ('accepted', 'reject', 'rejected'),
('accepted', 'suspend', 'suspended'), ('accepted', 'merge', 'merged'),
('assigned', 'release', 'accepted'), ('assigned', 'transfer', 'accepted'), ('assigned', 'handle', 'handling'), ('assigned', 'suspend', 'suspended'), ('assigned', 'merge', 'merged'),
('handling', 'handle', 'handling'), ('handling', 'release', 'accepted'), ('handling', 'transfer', 'accepted'), ('handling', 'close', 'closed'), ('handling', 'suspend', 'suspended'),
('suspended', 'handle', 'handling'), ('suspended', 'accept', 'accepted'),
('closed', 'callback', 'closed'), ('closed', 'rate', 'closed'), ('closed', 'reopen', 'accepted'),
('rejected', 'callback', 'rejected'), ('rejected', 'rate', 'rejected'), ('rejected', 'reopen', 'accepted');

-- 积分规则样例 sample points rules; a redemption's points stand in the entry itself
INSERT INTO points_rule(code, version, name, points, day_cap, valid_from) VALUES
('checkin', 1, '志愿者报到', 2, 2, '2024-01-01'), ('hour', 1, '志愿服务一小时', 5, 40, '2024-01-01'), ('report', 1, '发现并上报问题', 3, 15, '2024-01-01'),
('meeting', 1, '参加民主议事', 4, 4, '2024-01-01'), ('redeem', 1, '积分兑换', 0, NULL, '2024-01-01');

-- 服务目录样例（20余类200余项，由市里补全） samples of the catalogue; the city completes it
INSERT INTO service_category(code, name) VALUES
('party', '党员管理'), ('child', '儿童成长'), ('elder', '老年人日间照料'), ('papers', '证件办理'), ('bills', '生活缴费'), ('door', '远程开门'), ('volunteer', '志愿服务'),
('deliberation', '民主议事'), ('study', '在线学习'), ('consultation', '党务政务咨询'), ('proxy', '代办服务'), ('mediation', '矛盾调解'), ('law', '法律援助'), ('safety', '平安建设'),
('emergency', '应急处理'), ('jobs', '就业服务'), ('property', '物业服务'), ('environment', '环境治理'), ('charity', '爱心公益'), ('notice', '信息发布'), ('points', '积分管理');
INSERT INTO service_item(code, category, name, proxy_ok, sla_hours) VALUES
('party-transfer', 'party', '组织关系转接咨询', 1, 168), ('party-checkin', 'party', '在职党员报到', 0, 24), ('child-safety', 'child', '青少年安全知识课', 0, NULL),
('child-firstaid', 'child', '避险救护课', 0, NULL), ('elder-daycare', 'elder', '日间照料', 0, NULL), ('elder-physio', 'elder', '康复理疗', 0, NULL), ('elder-meal', 'elder', '送餐上门', 0, 24),
('papers-residence', 'papers', '居住证明', 1, 24), ('papers-medical', 'papers', '医保参保登记', 1, 72), ('bills-water', 'bills', '水费代缴', 1, 24), ('volunteer-guide', 'volunteer', '文明引导', 0, NULL),
('volunteer-traffic', 'volunteer', '交通站岗轮值', 0, NULL), ('consultation-call', 'consultation', '电话回访', 0, 72), ('proxy-home', 'proxy', '上门代办', 1, 72),
('mediation-neighbour', 'mediation', '邻里纠纷调解', 0, 168), ('law-advice', 'law', '公益律师咨询', 0, 72), ('safety-check', 'safety', '楼栋安全巡查', 0, NULL), ('jobs-fair', 'jobs', '招聘信息推送', 0, NULL),
('environment-clean', 'environment', '楼道清理', 0, 72), ('charity-delivery', 'charity', '公益送货上门', 0, 24);

PRAGMA user_version = 2;
