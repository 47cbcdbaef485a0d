"""Common English words for the shipped tokenizer, so that texts other than CVs stay in readable pieces."""

from __future__ import annotations


def _words(block: str) -> tuple[str, ...]:
    return tuple(block.split())


COMMON = _words("""
a able about above accept access accident according account across act action active activity actual add address adult
advance advantage advice affair afford afraid after afternoon again against age agency agent ago agree agreement ahead
aid aim air all allow almost alone along already also although always am among amount an analysis ancient and anger
angle angry animal announce annual another answer any anybody anyone anything anyway apart apartment apparent appeal
appear apple apply appoint approach approve april are area argue argument arm army around arrange arrest arrive art
article artist as ask asleep aspect assess asset assist assume at attach attack attempt attend attention attitude
attract audience august aunt author authority autumn available average avoid award aware away baby back background bad
bag balance ball band bank bar base basic basis basket bath battle be beach bear beat beautiful because become bed
bedroom been beer before begin behave behaviour behind being belief believe bell belong below bench beneath benefit
beside best better between beyond big bill bind bird birth birthday bit bite black blame blind block blood blow blue
board boat body bone book border born borrow both bother bottle bottom bowl box boy brain branch brave bread break
breakfast breath breathe brick bridge brief bright bring broad brother brown brush build building burn bus business
busy but butter button buy by cabin cable cake call calm camera camp campaign can cancel cancer candidate capable
capacity capital captain car card care career careful carry case cash castle cat catch cause cell central centre
century certain chain chair challenge chance change channel chapter character charge chart cheap check cheese chemical
chest chicken chief child choice choose church circle citizen city civil claim class classic clean clear clever client
climate climb clock close cloth clothes cloud club coach coal coast coat code coffee cold collapse colleague collect
collection college colour column combine come comfort command comment commercial commission commit committee common
community company compare compete complain complaint complete complex computer concentrate concept concern conclude
concrete condition conduct conference confidence confirm conflict connect consider consist constant construct consult
consumer contact contain content contest context continue contract contrast contribute control convert conversation
convince cook cool copy corner correct cost cottage could council count country county couple courage course court
cousin cover cow crash cream create credit crew crime crisis critic criticism crop cross crowd crown cry culture cup
cupboard current curtain curve custom customer cut cycle daily damage dance danger dangerous dark data database date
daughter day dead deal dear death debate debt decade december decide decision declare decline deep defeat defence
defend define degree delay deliver delivery demand democracy deny department depend deposit depth describe desert
deserve design desire desk despite destroy detail detect determine develop device die diet differ difference different
difficult dig dinner direct direction director dirty disappear discipline discover discuss disease dish display
distance distant distinct distribute district divide division do doctor document dog dollar domestic door double doubt
down dozen draft drag draw drawer dream dress drink drive drop dry due during dust duty each ear early earn earth ease
east easy eat economic economy edge edit edition editor education effect effective efficient effort egg eight either
elect election electric element eleven else email embed emerge emergency emotion emphasis employ employee employer
empty enable encourage end enemy energy engage engine engineer enjoy enormous enough ensure enter enterprise entire
entrance entry environment equal equipment error escape especially essential establish estate estimate even evening
event ever every everybody everyone everything everywhere evidence evil exact examine example excellent except
exchange excite exclude excuse exercise exist existence expand expect expense expensive experience experiment expert
explain explore export expose express extend extent external extra extreme eye face facility fact factor factory fail
failure fair faith fall false familiar family famous far farm farmer fashion fast fat father fault favour favourite
fear feature february federal fee feed feel fellow female fence few field fight figure file fill film final finance
financial find fine finger finish fire firm first fish fit five fix flag flat flight float floor flow flower fly focus
fold folk follow food foot football for force foreign forest forever forget forgive form formal former forward found
foundation four frame free freedom frequent fresh friday friend from front fruit fuel full fun function fund
fundamental funny furniture further future gain game gap garage garden gas gate gather general generate generation
gentle gentleman get giant gift girl give glad glass global go goal god gold good govern government grade grand grant
graph grass grateful great green grey ground group grow growth guarantee guard guess guest guide guilty gun habit had
hair half hall hand handle hang happen happy hard hardly harm has hat hate have he head health hear heart heat heavy
height help hence her here hero hers herself hide high hill him himself hire his history hit hold hole holiday home
honest hope horse hospital hot hotel hour house household how however huge human hundred hungry hunt hurry hurt
husband ice idea identify identity if ignore ill illness image imagine impact implement imply import importance
important impossible impress improve improvement in incident include income increase indeed independent index indicate
individual industry influence inform information initial injury inner innocent input inside insist install instance
instead institute institution instruction instrument insurance intend intense interest internal international internet
interpret interview into introduce invent invest investigate investment invite involve iron is island issue it item
its itself january job join joint journal journey joy judge july jump june jury just justice justify keen keep key
kick kid kill kind king kitchen knee knife knock know knowledge label labour lack lady lake land language large last
late later latest laugh launch law lawyer lay layer lead leader leaf league learn lease least leather leave lecture
left leg legal leisure lend length less lesson let letter level liberal library licence lie life lift light like
likely limit line link lip list listen literature little live load loan local location lock log lonely long look loose
lord lose loss lost lot loud love lovely low luck lunch machine magazine main maintain major majority make male man
manage manager manner manufacture many map march mark market marriage marry mass master match mate material matter
maximum may maybe me meal mean measure meat media medical medicine medium meet meeting member memory mental mention
mere message metal method middle might mile military milk mind mine minimum minister minor minute mirror miss mission
mistake mix mobile model modern moment monday money monitor month mood moon moral more morning most mother motion
motor mountain mouth move movement movie much murder muscle museum music must my myself mystery name narrow nation
national natural nature near nearly necessary neck need negative neighbour neither nerve nervous network never
nevertheless new news newspaper next nice night nine no nobody nod noise none nor normal north nose not note nothing
notice notion novel november now nowhere nuclear number nurse object objective observe obtain obvious occasion occupy
occur ocean october odd of off offer office officer official often oil okay old on once one only onto open operate
operation opinion opponent opportunity oppose opposite option or orange order ordinary organ organisation organization
origin original other ought our ours out outcome output outside over overall own owner pace pack package page pain
paint pair palace pale panel paper parent park part particular partly partner party pass passage passenger past path
patient pattern pause pay payment peace peak pen pension people per percent perfect perform performance perhaps period
permanent permission permit person personal persuade phase phone photo photograph phrase physical piano pick picture
piece pile pilot pipe place plain plan plane planet plant plastic plate platform play player please pleasure plenty
plus pocket poem poet poetry point police policy polite political politics pollution pool poor popular population port
position positive possess possible post pot potential pound poverty power practical practice praise pray prefer
preparation prepare presence present preserve president press pressure pretend pretty prevent previous price pride
primary prince principal principle print priority prison prisoner private prize probably problem procedure proceed
process produce product profession professional profile profit program programme progress project promise promote
proof proper property proportion proposal propose prospect protect protest proud prove provide province public publish
pull pupil purchase pure purpose push put quality quantity quarter queen query question queue quick quiet quite quote
race radio rail rain raise range rank rapid rare rate rather raw reach react read ready real realise reality really
reason receive recent reckon recognise recommend record recover red reduce refer reference reflect reform refuse
regard region register regret regular reject relate relation relationship relative release relevant relief religion
rely remain remark remember remind remote remove rent repair repeat replace reply report represent republic reputation
request require rescue research reserve resident resist resource respect respond response responsibility rest
restaurant result retain retire return reveal revenue review revolution rice rich ride right ring rise risk river road
rock role roll roof room root rope rough round route routine row royal rule run rural safe safety sail salary sale
salt same sample sand satisfy saturday save say scale scan scene schedule scheme school science scientist scope score
screen script sea search season seat second secret secretary section sector secure security see seed seek seem select
self sell send senior sense sensitive sentence separate september sequence series serious serve server service session
set settle seven several severe shade shadow shake shall shape share sharp she sheet shelf shell shelter shift shine
ship shirt shock shoe shoot shop short shot should shoulder shout show shut sick side sight sign signal significant
silence silver similar simple since sing single sister sit site situation six size skill skin sky sleep slice slight
slip slow small smart smell smile smoke smooth snow so social society soft software soil soldier solid solution solve
some somebody somehow someone something sometimes somewhere son song soon sort soul sound source south space spare
speak special specific speech speed spell spend spirit split sport spot spread spring square stable staff stage stair
stand standard star start state statement station status stay steady steal steel step stick still stock stomach stone
stop storage store storm story straight strange strategy stream street strength stress stretch strict strike string
strip strong structure struggle student study stuff stupid style subject submit succeed success such sudden suffer
sugar suggest suit summer sun sunday supply support suppose sure surface surprise surround survey survive suspect
sweet swim switch symbol system table tail take talent talk tall target task taste tax tea teach teacher team tear
technical technique technology telephone television tell temperature ten tend term terrible test text than thank that
the theatre their them themselves then theory there therefore these they thick thin thing think third thirty this
those though thought thousand thread threat three throat through throughout throw thursday thus ticket tie tight time
tiny tired title to today together tomorrow tone tongue tonight too tool tooth top topic total touch tour toward
towards tower town track trade tradition traffic train transfer transform transport travel treat treatment tree trend
trial trip troop trouble truck true trust truth try tuesday turn twelve twenty twice twin two type typical ugly uncle
under understand unfortunately union unique unit unite universe university unless unlike until unusual up update upon
upper upset urban urge us use user usual usually vacation valley value variety various vast vegetable vehicle version
very vessel via victim victory video view village violence visible vision visit vital voice volume vote wage wait wake
walk wall want war warm warn wash waste watch water wave way we weak wealth weapon wear weather web wedding wednesday
week weekend weigh weight welcome welfare well west western wet what whatever wheel when whenever where whereas
wherever whether which while white who whole whom whose why wide wife wild will win wind window wine wing winner
winter wire wise wish with within without witness woman wonder wood word work worker world worry worth would wound
write writer wrong yard yeah year yellow yes yesterday yet you young your yours yourself youth zero zone
""")

ENDINGS = _words("""
s es ed er ers ing ings ion ions ation ments ment ness less ful ly able ible al ally ity ive ous ism ist ists ize ise
ized ised ship est
""")
"""Pieces that continue many English words."""
